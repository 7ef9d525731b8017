"""What checks find: how bad it is, where, what, and the likely fix."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from leagents_kedro.errors import LeAgentsError
from leagents_kedro.records import Record

logger = logging.getLogger(__name__)


type Check[Subject] = Callable[[Subject], Iterator[Finding]]


class Finding(Record):
    """A fault: with an ``error`` the loop does not start, a ``warning`` lets it go on.

    ``command`` does what ``fix`` says when it is typed into a shell; it is empty where none does.
    """

    severity: Literal["error", "warning"]
    where: str
    what: str
    fix: str
    command: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. Fix: {self.fix}{': ' * bool(self.command)}{self.command}"


def error(where: Path | str, what: str, fix: str, command: str = "") -> Finding:
    """Return a finding that stops the loop."""
    return Finding(severity="error", where=str(where), what=what, fix=fix, command=command)


def warning(where: Path | str, what: str, fix: str, command: str = "") -> Finding:
    """Return a finding that a person should know of."""
    return Finding(severity="warning", where=str(where), what=what, fix=fix, command=command)


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for those that differ in their place alone: it names the first, and how many more."""
    places: dict[Finding, dict[str, None]] = {}
    for finding in findings:
        places.setdefault(finding.model_copy(update={"where": ""}), {})[finding.where] = None
    return [finding.model_copy(update={"where": _place(list(where))}) for finding, where in places.items()]


def _place(where: Sequence[str]) -> str:
    return where[0] + (f" and {len(where) - 1} more" if len(where) > 1 else "")


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any finding stops the loop."""
    return any(finding.severity == "error" for finding in findings)


def run_checks[Subject](stages: Iterable[Iterable[Check[Subject]]], subject: Subject, where: Path) -> list[Finding]:
    """Run ``stages`` of checks until one has an error: a stage relies on what those before it made sure of.

    A check that a damaged file breaks in a way of its own becomes a finding too.
    """
    findings: list[Finding] = []
    for stage in stages:
        for check in stage:
            try:
                findings.extend(check(subject))
            except Exception as fault:
                findings.append(error(where, f"cannot be read: {fault}", "restore it from a copy, or write it anew"))
        if has_errors(findings):
            break
    return list(dict.fromkeys(findings))


def stop_at_errors(findings: Sequence[Finding], kind: type[LeAgentsError]) -> None:
    """Log the warnings, and stop at errors.

    Raises:
        LeAgentsError: Of this ``kind``; the message names all errors, a line each.
    """
    for finding in grouped(findings):
        if finding.severity == "warning":
            logger.warning("%s", finding)
    if has_errors(findings):
        raise kind("\n".join(str(finding) for finding in grouped(findings) if finding.severity == "error"))
