"""Outcomes of one checkpoint, measured in blocks that a crash does not lose."""

import hashlib
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from leagents_kedro.foundation.files import write_atomically
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.records import Checkpoint, Outcome
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.simulator import Simulator, policy_file

_OUTCOMES = TypeAdapter(tuple[Outcome, ...])


class Measurement:
    """Measures ``checkpoint`` under ``protocol``.

    Every finished block of episodes is kept in ``folder``, and found there again under the same protocol.
    """

    def __init__(
        self, checkpoint: Checkpoint, simulator: Simulator, folder: Path, evaluation: EvaluationParams, protocol: str
    ):
        self._checkpoint, self._simulator, self._folder, self._evaluation = checkpoint, simulator, folder, evaluation
        self._protocol = protocol

    def outcomes(self, trials: list[Trial], title: str) -> tuple[Outcome, ...]:
        """Return one outcome a trial, in their order; progress is shown under ``title``."""
        if not trials:
            return ()
        name = hashlib.sha256(repr((self._protocol, self._checkpoint.digest, trials)).encode()).hexdigest()[:16]
        kept = self._folder / f"{name}.json"
        with suppress(FileNotFoundError, ValidationError):  # what was damaged is measured anew
            return _OUTCOMES.validate_json(kept.read_bytes())
        policy = policy_file(self._checkpoint, self._evaluation)
        with progress_bar(title, len(trials), "episode") as show:
            rolled = self._simulator.roll_out(
                policy,
                trials,
                slots=self._evaluation.slots,
                progress=lambda done, successes: show(done, f"{successes} successes"),
            )
        outcomes = tuple(outcome for outcome, _ in rolled)
        write_atomically(kept, _OUTCOMES.dump_json(outcomes))
        return outcomes
