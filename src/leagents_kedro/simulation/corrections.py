"""A policy and its teacher act in turn, so that the teacher is seen in states where the policy leads.

The teacher labels every state, as in DAgger (Ross et al. 2011, arXiv:1011.0686), in the same episodes and at once.
"""

import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leagents_kedro.parameters.demonstrations import Corrections
from leagents_kedro.policies.actor import PolicyFile
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.replays import Replay
from leagents_kedro.simulation.rollouts import EpisodeRun, next_actions

if TYPE_CHECKING:
    from leagents_kedro.policies.actor import Actor


@dataclass(frozen=True)
class Correction(Trial):
    """An episode of whoever acts in ``taught``, an expert or a replay, in which ``policy`` takes turns."""

    taught: Trial
    policy: PolicyFile
    turns: Corrections

    @classmethod
    def of(cls, taught: Trial, policy: PolicyFile, turns: Corrections) -> "Correction":
        """Return the corrected episode in the scene of ``taught``."""
        return cls(taught.task, taught.seed, taught, policy, turns)

    @property
    def provenance(self) -> str:
        """That of the replay, if it is one, and the policy that took turns."""
        told = json.loads(self.taught.provenance) if isinstance(self.taught, Replay) else {"seed": self.seed}
        return json.dumps(told | {"policy": self.policy.digest})


class Student:
    """The policy in a correction: in each block of steps it acts, or the teacher, as the trial's seed draws.

    ``acts`` says whether it did so last.
    """

    def __init__(self, correction: Correction, actor: "Actor", pool: EnvironmentPool):
        actor.bind(pool.config(correction.task))
        self._actor, self._turns = actor, correction.turns
        self._draws = np.random.default_rng((correction.seed, 1))  # not those of the noise
        self.acts = False
        self._planned: deque[np.ndarray] = deque()

    def action(self, run: EpisodeRun) -> np.ndarray | None:
        """Return what the policy does now (action_dim,), as it would alone; None where it is the teacher's turn.

        Raises:
            SimulationError: The policy failed; names task, seed, and step.
        """
        if run.length % self._turns.block_steps == 0:
            acts = bool(self._draws.random() < self._turns.share)
            if acts and not self.acts:  # what it planned before the teacher acted is of another state
                self._planned.clear()
                self._actor.reset()
            self.acts = acts
        if not self.acts:
            return None
        if not self._planned:
            self._planned.extend(next_actions(self._actor, [run])[0])
        return self._planned.popleft()
