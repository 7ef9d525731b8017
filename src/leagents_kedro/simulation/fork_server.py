"""The server that worker processes are forked from: it has imported what they need, and run nothing of it.

multiprocessing imports this module when it starts its server, and nothing else of the server can be told what to do:
what the server does, it does on import, where a variable of its environment says that it is one.
"""

import ctypes
import gc
import os
import signal
import sys
from importlib import import_module

from leagents_kedro.simulation.environments import environment_of

PREPARED_ENVIRONMENT = "LEAGENTS_KEDRO_PREPARED_ENVIRONMENT"
"""The variable by which the server is told the environment type that it is to be ready for."""

_PR_SET_PDEATHSIG = 1
_LIBRARIES = (
    "leagents_kedro.simulation.station",
    "lerobot.envs.factory",
    "lerobot.policies.act.modeling_act",
    "lerobot.policies.factory",
)


def _serve(environment: str) -> None:
    """Get ready, tied to the process that started this one: it must not go on importing for nobody.

    What was imported is left out of later collections: those would copy what forks share.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    prepared = environment_of(environment)
    for module in (*prepared.preloaded, *_LIBRARIES):
        import_module(module)
    prepared.prepare()
    gc.freeze()


if PREPARED_ENVIRONMENT in os.environ:
    _serve(os.environ.pop(PREPARED_ENVIRONMENT))
