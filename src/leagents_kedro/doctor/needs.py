"""What the loop needs of a dataset or a checkpoint."""

from dataclasses import dataclass

from leagents_kedro.episodes.columns import Features
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.suites import resolve_suite


@dataclass(frozen=True)
class Needs:
    """The features and frames a second of an environment's episodes, and the sentence of each task of the suite."""

    features: Features
    fps: int
    sentences: tuple[str, ...]

    @classmethod
    def of(cls, suite: SuiteParams) -> "Needs":
        """Return the needs of a suite.

        Raises:
            ParameterError: The environment, an option, or a task is unknown.
        """
        tasks = resolve_suite(suite.environment, suite.tasks)
        with EnvironmentPool(suite.environment, suite.options) as pool:
            return cls(pool.features, pool.fps, tuple(task.sentence for task in tasks))
