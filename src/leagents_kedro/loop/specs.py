"""The hooks of the loop, beside those of Kedro.

Who answers them; where no order is said, the last of ``settings.HOOKS`` is called first:

=====================  ==============================================================================================
before_loop            NarrationHooks (first), WarmUpHooks
between_cycles         NarrationHooks (first), RetentionHooks
repeat_run             GateHooks, ApprovalHooks, the budgets (CycleBudgetHooks ...), StopFileHooks: every reason is told
                       (NarrationHooks comes last, and has none)
before_cycle_opened    NarrationHooks (first), PreflightHooks
Kedro's own            ParameterHooks (the command is checked), InheritanceHooks (first: the loop knows the run),
                       PreflightHooks (the environment's options), RetentionHooks (last, after ParameterHooks),
                       WarmUpHooks, StopFileHooks, EventHooks, NarrationHooks (first), RunStatusHooks (first: before
                       Kedro-Viz), and the session's DeviceMeter
=====================  ==============================================================================================
"""

from typing import Any

from kedro.framework.hooks.markers import hook_spec
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from leagents_kedro.history.history import History
from leagents_kedro.parameters.loop import LoopParams

DEVICE = "device"
"""The tag of nodes whose time counts as device time."""


def short_name(node: Node) -> str:
    """Return a node's name within its stage, which is what people type and the event log tells."""
    return node.name.removeprefix(f"{node.namespace}.")


class LoopSpecs:
    """The hooks that Kedro lacks: before and between cycles, whether another is to be run, and whether it can be."""

    @hook_spec
    def before_loop(self, parameters: dict[str, Any]) -> None:
        """Prepare for cycles; the command was checked, nothing was read or written.

        Args:
            parameters: Those of the project.
        """

    @hook_spec
    def between_cycles(self, history: History, catalog: CatalogProtocol, closed_here: int) -> None:
        """Tidy up while no cycle is open.

        Args:
            history: The past, all of whose cycles have ended.
            catalog: What the next cycle inherits, and the parameters.
            closed_here: Number of cycles that this command has closed.
        """

    @hook_spec
    def repeat_run(
        self, history: History, params: LoopParams, catalog: CatalogProtocol, closed_here: int
    ) -> str | None:
        """Say whether the next cycle may be opened.

        Args:
            history: The past, all of whose cycles have ended.
            params: Parameters of the loop.
            catalog: What the next cycle inherits, and the parameters.
            closed_here: Number of cycles that this command has closed.

        Returns:
            A reason not to, or ``None``.
        """

    @hook_spec
    def before_cycle_opened(self, catalog: CatalogProtocol) -> None:
        """Check the next cycle before its parameters become its own.

        Args:
            catalog: What the next cycle inherits, and the parameters.

        Raises:
            LeAgentsError: The cycle could not run.
        """
