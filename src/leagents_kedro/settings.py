"""Settings of the Kedro project."""

import warnings

from leagents_kedro.approval import ApprovalHooks
from leagents_kedro.budgets import (
    CycleBudgetHooks,
    DeviceTimeBudgetHooks,
    DiskBudgetHooks,
    EpisodeBudgetHooks,
    WallTimeBudgetHooks,
)
from leagents_kedro.configuration import ConfigLoader
from leagents_kedro.events import EventHooks
from leagents_kedro.hooks import GateHooks, ParameterHooks, StopFileHooks
from leagents_kedro.preflight import PreflightHooks
from leagents_kedro.session import CycleSession

# Kedro 1.7 calls OmegaConf 2.4 by an old name in every command; there is nothing a user can do about it.
warnings.filterwarnings("ignore", "register_new_resolver", UserWarning)

SESSION_CLASS = CycleSession
HOOKS = (
    ParameterHooks(),
    PreflightHooks(),
    GateHooks(),
    ApprovalHooks(),
    CycleBudgetHooks(),
    WallTimeBudgetHooks(),
    DeviceTimeBudgetHooks(),
    EpisodeBudgetHooks(),
    DiskBudgetHooks(),
    StopFileHooks(),
    EventHooks(),
)
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},  # an environment names only the parameters that differ
}
