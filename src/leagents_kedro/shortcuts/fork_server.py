"""Importing this makes a process ready for workers to be forked from it: the server of `workers`, and no other.

It is tied to the process that started it, as it must not go on importing for nobody. What it imported is left out of
later collections: those would copy what forks share. LeRobot's plug-in discovery imports all modules of `simulation`,
so this is not one of them.
"""

import ctypes
import signal
import sys

from leagents_kedro.shortcuts.imports import import_libraries

_PR_SET_PDEATHSIG = 1
_LIBRARIES = (
    "leagents_kedro.simulation.metaworld.env",
    "leagents_kedro.simulation.station",
    "lerobot.envs.factory",
    "lerobot.policies.act.modeling_act",
    "lerobot.policies.factory",
)

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
import_libraries(*_LIBRARIES)
sys.modules["leagents_kedro.simulation.metaworld.env"].compile_arm()
