from leagents_kedro.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS, HOOKS, SESSION_CLASS  # noqa: F401
from loop_project.events import EventHooks

DISABLE_HOOKS_FOR_PLUGINS = ("kedro_viz", "kedro-viz", "kedro-telemetry")
HOOKS = (*HOOKS, EventHooks())
