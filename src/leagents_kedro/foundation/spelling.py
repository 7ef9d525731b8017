"""Numbers of things, names that do not exist, and those that were likely meant."""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 30


def counted(number: int, what: str) -> str:
    """Return a number of things: ``1 task``, ``2 tasks``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelled most like ``name``, if any is."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """Return the sentences that refuse ``name``: what there is instead, and what was likely meant.

    >>> no_such("task", "reech-v3", ["push-v3", "reach-v3"])
    "There is no task 'reech-v3'; there are push-v3, reach-v3. Did you mean 'reach-v3'?"
    """
    choices = sorted(set(known))
    meant = nearest(name, choices)
    listed = f"; there are {', '.join(choices) or 'none'}" if len(choices) <= _LISTED or not meant else ""
    return f"There is no {what} {name!r}{listed}." + (f" Did you mean {meant!r}?" if meant else "")
