"""Which tasks a suite has, and the LeRobot environment that runs one of them."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.records import Task
from leagents_kedro.simulation.metaworld.tasks import _metaworld, metaworld_tasks

if TYPE_CHECKING:
    pass


def resolve_suite(environment: str, tasks: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks that ``tasks``, names of tasks or groups, stand for; in that order, each once.

    Raises:
        ParameterError: The environment type, a task, or a group is unknown.
    """
    if environment not in ("metaworld", "metaworld_state"):
        return _tasks_of_environment(environment, tuple(dict.fromkeys(tasks)))
    groups, sentences = _metaworld()["DIFFICULTY_TO_TASKS"], metaworld_tasks()
    names = dict.fromkeys(name for task in tasks for name in groups.get(task, [task]))
    for name in names:
        if name not in sentences:
            raise ParameterError(no_such(f"{environment} task or group", name, [*groups, *sentences]))
    return tuple(Task(name=name, sentence=sentences[name]) for name in names)


@cache
def _tasks_of_environment(environment: str, names: tuple[str, ...]) -> tuple[Task, ...]:
    from leagents_kedro.simulation.pool import EnvironmentPool

    with EnvironmentPool(environment, {}) as pool:
        return tuple(Task(name=name, sentence=pool.sentence(name)) for name in names)
