"""Outcomes of one checkpoint, measured in blocks that a crash does not lose."""

import hashlib
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter

from leagents_kedro.files import write_atomically
from leagents_kedro.policies.actor import Actor
from leagents_kedro.policies.training import resolve_device
from leagents_kedro.records import Checkpoint, Outcome
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import Job, roll_out

from .params import EvaluationParams

_OUTCOMES = TypeAdapter(tuple[Outcome, ...])


class Measurement:
    """Measures ``checkpoint``; every finished block of episodes is kept in ``folder``, and found there again."""

    def __init__(self, checkpoint: Checkpoint, pool: EnvironmentPool, folder: Path, evaluation: EvaluationParams):
        self._checkpoint, self._pool, self._folder, self._evaluation = checkpoint, pool, folder, evaluation

    @cached_property
    def _actor(self) -> Actor:
        return load_actor(self._checkpoint, self._evaluation)

    def outcomes(self, jobs: list[Job]) -> tuple[Outcome, ...]:
        """Return one outcome a job, in their order."""
        if not jobs:
            return ()
        name = hashlib.sha256(repr((self._checkpoint.digest, jobs)).encode()).hexdigest()[:16]
        kept = self._folder / f"{name}.json"
        if kept.exists():
            return _OUTCOMES.validate_json(kept.read_bytes())
        rolled = roll_out(self._actor, jobs, self._pool, slots=self._evaluation.slots)
        outcomes = tuple(outcome for outcome, _ in rolled)
        write_atomically(kept, _OUTCOMES.dump_json(outcomes))
        return outcomes


def load_actor(checkpoint: Checkpoint, evaluation: EvaluationParams) -> Actor:
    """Open ``checkpoint`` as evaluation is configured."""
    return Actor.load(checkpoint.path, resolve_device(evaluation.device), evaluation.torch_threads)
