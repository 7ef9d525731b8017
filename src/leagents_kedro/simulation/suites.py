"""A suite, resolved once from its parameters: tasks, sentences, and what episodes of its environment hold."""

from leagents_kedro.constitution.commands import simulation_command
from leagents_kedro.constitution.limits import Constitution, require
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
        ParameterError: The environment type, an option, a task, or a group is unknown.
        SimulationError: The environment cannot begin an episode.
    """
    require(constitution, simulation_command(suite, episodes=1))
    key = suite.model_dump_json()
    if key not in _resolved:
        _resolved[key] = simulator(suite, evaluation).describe(suite.tasks)
    return _resolved[key]
