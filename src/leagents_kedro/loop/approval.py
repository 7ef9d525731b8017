"""What waits for a person, where ``gating.approval`` is human: promotions, and a changed constitution."""

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from leagents_kedro.datasets.versions import content_of
from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.history import History, Opened
from leagents_kedro.loop.provenance import constitution_digest
from leagents_kedro.records import Decision


def awaiting_cycle(history: History, catalog: CatalogProtocol) -> Opened | None:
    """Return the open cycle, where its promotion waits for an answer."""
    opened = history.open_cycle
    if opened is None or history.answer_to(opened.cycle):
        return None
    if opened.params.get("gating", {}).get("approval") != "human":
        return None
    verdict: Decision | None = content_of(catalog, "verdict", opened.run_id)
    return opened if verdict and verdict.blesses else None


def awaiting_constitution(history: History, catalog: CatalogProtocol) -> str | None:
    """Return the digest of the constitution, where it is neither that of the last cycle nor approved."""
    digest = constitution_digest(catalog)
    if not history.runs or digest in {history.runs[-1].cycles[-1].opened.constitution, *history.approved_constitutions}:
        return None
    return digest


class ApprovalHooks:
    """Keep a changed constitution from coming into force by itself."""

    @hook_impl
    def repeat_run(self, history: History, catalog: CatalogProtocol) -> str | None:
        """Give a reason while the limits are not approved."""
        if catalog.load("params:gating.approval") != "human" or awaiting_constitution(history, catalog) is None:
            return None
        approve = typed("loop approve constitution --by NAME")
        return f"the constitution changed; awaiting its approval: {approve}"
