"""What people answer to the loop, and what follows from it."""

from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.history import Answer
from leagents_kedro.records import Decision


def answered(verdict: Decision, answer: Answer) -> Decision:
    """Return the decision that follows from a verdict that blesses and a person's answer to it."""
    note = f" ({answer.note})" if answer.note else ""
    if answer.event == "approved":
        return verdict.model_copy(update={"reason": f"{verdict.reason} Approved by {answer.by}{note}."})
    refused = "promotion" if verdict.verdict == "promote" else "blessing"
    reason = f"{answer.by} rejected the {refused}{note}. The gate had said: {verdict.reason}"
    return verdict.model_copy(update={"verdict": "iterate", "reason": reason})


def waits_for_approval(cycle: int) -> str:
    """Return how to go on with a cycle whose promotion waits for a person."""
    return (
        f"awaiting approval of cycle {cycle}: {typed(f'loop approve {cycle} --by NAME')} (or reject), then run the "
        "same command again"
    )
