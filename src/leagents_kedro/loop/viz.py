"""What Kedro-Viz shows of a run."""

import logging
import sys
from typing import Any

from kedro.framework.hooks import hook_impl

from leagents_kedro.loop.request import is_whole


class RunStatusHooks:
    """Let Kedro-Viz show the last whole cycle.

    Its hook keeps the events of all runs in a process and writes every one again after each, and it takes each
    pipeline for the whole one, since Kedro 1.7 calls their names otherwise.
    """

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self) -> None:
        """Forget the run before, and have only a whole cycle kept, where that hook is in use."""
        logging.getLogger("kedro_viz").setLevel(logging.ERROR)  # it warns where its view stays as it was
        viz: Any = sys.modules.get("kedro_viz.integrations.kedro.run_hooks")
        if viz:
            viz.pipeline_run_hook._events.clear()
            viz.pipeline_run_hook._should_collect_events = False
            viz.is_default_run = lambda run_params: is_whole(run_params, "cycle", "__default__")
