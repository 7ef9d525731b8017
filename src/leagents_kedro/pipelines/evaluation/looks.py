"""Outcomes of one checkpoint, measured in blocks that a crash does not lose."""

import hashlib
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from leagents_kedro.foundation.files import write_atomically
from leagents_kedro.policies.training import resolve_device
from leagents_kedro.records import Checkpoint, Outcome
from leagents_kedro.simulation.rollouts import Job
from leagents_kedro.simulation.simulator import Simulator
from leagents_kedro.simulation.station import PolicyFile
from leagents_kedro.suite import SuiteParams

from .params import EvaluationParams

_OUTCOMES = TypeAdapter(tuple[Outcome, ...])


class Measurement:
    """Measures ``checkpoint``; every finished block of episodes is kept in ``folder``, and found there again."""

    def __init__(self, checkpoint: Checkpoint, simulator: Simulator, folder: Path, evaluation: EvaluationParams):
        self._checkpoint, self._simulator, self._folder, self._evaluation = checkpoint, simulator, folder, evaluation

    def outcomes(self, jobs: list[Job]) -> tuple[Outcome, ...]:
        """Return one outcome a job, in their order."""
        if not jobs:
            return ()
        name = hashlib.sha256(repr((self._checkpoint.digest, jobs)).encode()).hexdigest()[:16]
        kept = self._folder / f"{name}.json"
        with suppress(FileNotFoundError, ValidationError):  # what was damaged is measured anew
            return _OUTCOMES.validate_json(kept.read_bytes())
        policy = policy_file(self._checkpoint, self._evaluation)
        rolled = self._simulator.roll_out(policy, jobs, slots=self._evaluation.slots)
        outcomes = tuple(outcome for outcome, _ in rolled)
        write_atomically(kept, _OUTCOMES.dump_json(outcomes))
        return outcomes


def policy_file(checkpoint: Checkpoint, evaluation: EvaluationParams) -> PolicyFile:
    """Return ``checkpoint`` as evaluation is to open it."""
    return PolicyFile(checkpoint.path, checkpoint.digest, resolve_device(evaluation.device), evaluation.torch_threads)


def simulator(suite: SuiteParams, evaluation: EvaluationParams) -> Simulator:
    """Return the environments of ``suite``, run as evaluation is configured."""
    return Simulator(suite.environment, suite.options, evaluation.workers, evaluation.episode_timeout_s)
