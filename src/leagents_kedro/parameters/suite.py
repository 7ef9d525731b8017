"""The suite parameter that every stage shares: which simulator, which tasks."""

from typing import Annotated, Any

from pydantic import Field

from leagents_kedro.records import Record


class SuiteParams(Record):
    """A LeRobot environment type with options of its configuration, and tasks or groups of tasks of it.

    ``sentences`` are what a policy is told in a task, where it is not what the environment says.
    """

    environment: str
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    options: dict[str, Any]
    sentences: dict[str, Annotated[str, Field(pattern=r"\S")]] = {}
