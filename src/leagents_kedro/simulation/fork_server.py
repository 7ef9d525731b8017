"""Importing this makes a process ready for workers to be forked from it: the server of `workers`, and no other.

It is tied to the process that started it, as it must not go on importing for nobody. Everything is imported, without
looking for garbage, which there is none, and left out of later collections: those would copy what forks share.
"""

import ctypes
import gc
import signal
import sys
from importlib import import_module

_PR_SET_PDEATHSIG = 1
_LIBRARIES = (
    "leagents_kedro.simulation.metaworld_env",
    "leagents_kedro.simulation.station",
    "lerobot.envs.factory",
    "lerobot.policies.act.modeling_act",
    "lerobot.policies.factory",
)

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
gc.disable()
for _library in _LIBRARIES:
    import_module(_library)
sys.modules["leagents_kedro.simulation.metaworld_env"].compile_arm()
gc.freeze()
gc.enable()
