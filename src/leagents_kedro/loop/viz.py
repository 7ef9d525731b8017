"""What Kedro-Viz shows of a run."""

import sys

from kedro.framework.hooks import hook_impl


class RunStatusHooks:
    """Let Kedro-Viz show the last run: its hook keeps the events of all, and writes every one again after each."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self) -> None:
        """Forget the events of the run before, where that hook is in use."""
        if viz := sys.modules.get("kedro_viz.integrations.kedro.run_hooks"):
            viz.pipeline_run_hook._events.clear()
