"""A suite, resolved once from its parameters: tasks, sentences, and what episodes of its environment hold."""

from collections.abc import Sequence

from leagents_kedro.constitution.commands import simulation_command
from leagents_kedro.constitution.limits import Constitution, require
from leagents_kedro.errors import ParameterError
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.records import Suite
from leagents_kedro.simulation.simulator import simulator

_resolved: dict[str, Suite] = {}


def resolve_suite(suite: SuiteParams, evaluation: EvaluationParams, constitution: Constitution) -> Suite:
    """Return the suite that the parameters stand for, as its environment shows it.

    A process looks at an environment once, in a worker where episodes are run in workers.

    Raises:
        ConstitutionError: The environment, or an option, is beyond the limits: it is not even made.
        ParameterError: The environment type, an option, a task, or a group is unknown, or two tasks have the same
            sentence.
        SimulationError: The environment cannot begin an episode.
    """
    require(constitution, simulation_command(suite, episodes=1))
    key = suite.model_dump_json()
    if key not in _resolved:
        resolved = simulator(suite, evaluation).describe(suite.tasks)
        _check_sentences(resolved.sentences)
        _resolved[key] = resolved
    return _resolved[key]


def _check_sentences(sentences: Sequence[str]) -> None:
    if shared := sorted({sentence for sentence in sentences if sentences.count(sentence) > 1}):
        raise ParameterError(
            f"suite.tasks: several tasks have the sentence {', '.join(map(repr, shared))}, which is all that tells "
            "their episodes apart in a LeRobotDataset; keep one of them, or tell them apart by suite.sentences"
        )
