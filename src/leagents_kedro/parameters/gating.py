"""Parameters of the gating stage: the rules of ``leagents_kedro.gate``, and who has the last word."""

from typing import Literal

from leagents_kedro.gate.rules import GateRules


class GatingParams(GateRules):
    """The statistical rules by which a candidate is judged; with ``approval: human`` a blessing waits for a person."""

    approval: Literal["auto", "human"]
