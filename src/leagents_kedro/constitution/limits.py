"""What the loop may do, whatever its parameters say.

A `Command` is what LeRobot's command line would be asked (``lerobot-train --policy.push_to_hub=true``), so that a rule
about a program or an argument means what it says there, although the loop does the work in its own process.
"""

import hashlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field

from leagents_kedro.errors import ConstitutionError
from leagents_kedro.foundation.nested import flat
from leagents_kedro.foundation.spelling import nearest
from leagents_kedro.foundation.untrusted import REMOTE_CODE_POLICIES
from leagents_kedro.records import Record

_HARDWARE = {"lerobot-record", "lerobot-rollout", "lerobot-teleoperate", "lerobot-replay", "lerobot-calibrate"}


class Constitution(Record):
    """The limits of every command; ``forbidden_arguments`` are patterns of ``name=value``: ``*.trust_*=true``."""

    environments: tuple[str, ...]
    max_training_steps: Annotated[int, Field(ge=1)]
    max_episodes: Annotated[int, Field(ge=1)]
    forbidden_commands: tuple[str, ...]
    forbidden_arguments: tuple[str, ...]
    hub_push: bool
    remote_code: bool
    real_hardware: bool
    parallel_task_evaluation: bool

    @property
    def digest(self) -> str:
        """A name for exactly these limits; the ledger keeps it with every cycle."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Command(Record):
    """A program of LeRobot and its arguments, nested as its configuration is."""

    program: str
    arguments: dict[str, Any]


def require(constitution: Constitution, command: Command) -> None:
    """Let ``command`` pass, or stop it.

    Raises:
        ConstitutionError: The command breaks at least one limit; the message names all of them.
    """
    if broken := violations(constitution, command):
        raise ConstitutionError(
            f"{command.program} is not allowed: {'; '.join(broken)}. "
            "Change the parameters of the command, or conf/base/constitution.yml"
        )


def violations(constitution: Constitution, command: Command) -> tuple[str, ...]:
    """Return what the command would break, one sentence each."""
    return tuple(_violations(constitution, command, dict(flat(command.arguments))))


def _violations(constitution: Constitution, command: Command, arguments: dict[str, Any]) -> Iterator[str]:
    if command.program in constitution.forbidden_commands:
        yield f"the command {command.program} is forbidden"
    if command.program in _HARDWARE and not constitution.real_hardware:
        yield f"{command.program} moves real hardware"
    for name, value in arguments.items():
        argument = f"{name}={_text(value)}"
        if any(fnmatchcase(argument, pattern.lower()) for pattern in constitution.forbidden_arguments):
            yield f"the argument {argument} is forbidden"
        leaf = name.rpartition(".")[2]
        if leaf.startswith("push_to_hub") and value and not constitution.hub_push:
            yield f"{argument} pushes to the Hub"
        if leaf in {"trust_remote_code", "hub_path"} and value and not constitution.remote_code:
            yield f"{argument} runs code from the Hub"
        if name == "policy.type" and value in REMOTE_CODE_POLICIES and not constitution.remote_code:
            yield f"{argument} runs code from the Hub"
        if name.startswith("robot.") and not constitution.real_hardware:
            yield f"{argument} moves real hardware"
        if leaf == "max_parallel_tasks" and value > 1 and not constitution.parallel_task_evaluation:
            yield f"{argument} evaluates tasks in parallel threads that share one policy"
    environment = arguments.get("env.type")
    if environment is not None and environment not in constitution.environments:
        meant = nearest(environment, constitution.environments)
        hint = f"; did you mean {meant!r}?" if meant else ""
        yield f"the environment {environment!r} is not among {', '.join(constitution.environments)}{hint}"
    if (steps := arguments.get("steps", 0)) > constitution.max_training_steps:
        yield f"{steps} training steps are more than {constitution.max_training_steps}"
    if (episodes := arguments.get("eval.n_episodes", 0)) > constitution.max_episodes:
        yield f"{episodes} episodes are more than {constitution.max_episodes}"


def _text(value: Any) -> str:
    return str(value).lower()
