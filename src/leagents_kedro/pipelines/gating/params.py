"""Parameters of the gating stage: the rules of ``leagents_kedro.gate``."""

from leagents_kedro.gate import GateRules


class GatingParams(GateRules):
    """The statistical rules by which a candidate is judged."""
