"""What ends the loop besides a budget: the gate's decision, and a stop file."""

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from leagents_kedro.history.history import History
from leagents_kedro.parameters.loop import LoopParams


class GateHooks:
    """End the loop where the gate's decision says so."""

    @hook_impl
    def repeat_run(self, history: History, params: LoopParams, closed_here: int) -> str | None:
        """Give a reason after a stop, and hand over once after an escalation."""
        if not history.cycles:
            return None
        last = history.cycles[-1]
        said = f"cycle {last.plan.cycle} said {last.decision.verdict}: {last.decision.reason}"
        if last.decision.verdict == "stop" and (closed_here or params.after_stop == "halt"):
            return f"{said} To go on nevertheless: --params=loop.after_stop=continue"
        if last.decision.verdict == "escalate" and closed_here and params.on_escalate == "handover":
            return f"{said} The same command goes on with the next rung"
        return None


class StopFileHooks:
    """End the loop where a person left a stop file; relative paths start at the project."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the project is."""
        self._project_path = context.project_path

    @hook_impl
    def repeat_run(self, params: LoopParams) -> str | None:
        """Give a reason while the file is there."""
        path = self._project_path / params.stop_file
        return f"there is a stop file; to go on, delete {path}" if path.exists() else None
