"""Settings of the Kedro project."""

import logging
import os
import sys
import warnings
from importlib.util import find_spec

from omegaconf.resolvers import oc

from leagents_kedro.errors import AwaitingApproval
from leagents_kedro.foundation.redaction import RedactedRecord
from leagents_kedro.loop.approval import ApprovalHooks
from leagents_kedro.loop.budgets import (
    CycleBudgetHooks,
    DeviceTimeBudgetHooks,
    DiskBudgetHooks,
    EpisodeBudgetHooks,
    WallTimeBudgetHooks,
)
from leagents_kedro.loop.configuration import ConfigLoader
from leagents_kedro.loop.events import EventHooks
from leagents_kedro.loop.inheritance import InheritanceHooks
from leagents_kedro.loop.narration import NarrationHooks
from leagents_kedro.loop.preflight import PreflightHooks
from leagents_kedro.loop.request import ParameterHooks
from leagents_kedro.loop.retention import RetentionHooks
from leagents_kedro.loop.session import CycleSession
from leagents_kedro.loop.stops import GateHooks, StopFileHooks
from leagents_kedro.loop.viz import RunStatusHooks
from leagents_kedro.loop.warm_up import WarmUpHooks

# Kedro 1.7 calls OmegaConf 2.4 by an old name in every command; there is nothing a user can do about it.
warnings.filterwarnings("ignore", "register_new_resolver", UserWarning)

# Kedro tries to import ibis for every parameter of every catalog. Python would search its whole path each time for
# what is not installed; None tells it at once.
if find_spec("ibis") is None:
    sys.modules["ibis"] = None  # type: ignore[assignment]

# Torch's threads wait for each other busily, so beside other work a training step took ten times as long. They give
# their core away sooner; alone they are as fast. Torch's OpenMP reads it when it is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

logging.setLogRecordFactory(RedactedRecord)
logging.captureWarnings(True)
# A promotion that waits for a person is no failure of its node.
logging.getLogger("kedro.pipeline.node").addFilter(lambda record: not isinstance(sys.exception(), AwaitingApproval))

SESSION_CLASS = CycleSession
HOOKS = (
    ParameterHooks(),
    WarmUpHooks(),
    PreflightHooks(),
    GateHooks(),
    ApprovalHooks(),
    CycleBudgetHooks(),
    WallTimeBudgetHooks(),
    DeviceTimeBudgetHooks(),
    EpisodeBudgetHooks(),
    DiskBudgetHooks(),
    StopFileHooks(),
    RetentionHooks(),
    EventHooks(),
    NarrationHooks(),
    RunStatusHooks(),
    InheritanceHooks(),  # called first of those that want to be
)
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {"oc.env": oc.env},  # Kedro takes it away, but for credentials
    "merge_strategy": {"parameters": "soft"},  # an environment names only the parameters that differ
}
