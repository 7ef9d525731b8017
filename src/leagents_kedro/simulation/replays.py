"""A demonstration replayed in another scene: its segments are moved with the things that they were about.

Segments in the frames of objects are MimicGen's idea (Mandlekar et al. 2023, arXiv:2310.17596). Here they are replayed
in closed loop: the demonstrated actions are fed forward, which keeps the forces of a push, and the hand's distance
from where it should be is fed back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from leagents_kedro.records import AmplificationPlan
from leagents_kedro.simulation.environments import Environment, Expert, Trial
from leagents_kedro.simulation.sources import Frames, Source, with_directions

_PATIENCE = 25  # steps that the hand may be waited for
_SLOWEST = 0.25  # of the demonstrated speed, where a segment is stretched beyond what the hand can do
_STRETCHED = 0.05  # in units of the action: a segment that is moved faster than demonstrated by more
_CATCHING_UP = 1.5  # times the gain, while the hand is waited for
_LOOKS_AHEAD = 15  # steps in which a hand that was led may be found
_NEARER_M = 0.005  # than where it should be now, if it is to be found there
_SAME_GRIP = 0.2  # in units of the action: the gripper's command has not changed


@dataclass(frozen=True)
class Replay(Trial):
    """An episode in which ``source`` is replayed as ``plan`` says; ``provenance`` is kept with it."""

    source: Source
    plan: AmplificationPlan
    provenance: str = ""


def moved_path(source: Source, plan: AmplificationPlan, scene: Frames, hand: np.ndarray) -> np.ndarray:
    """Return where the hand is to be (steps, 3) in a ``scene`` that it enters at ``hand`` (3,), in metres.

    Each segment is moved with its frame. The move is blended in from that of the segment before over ``plan.blend`` of
    the segment's path; before the first, the hand is where it stands.
    """
    moves: list[Callable[[np.ndarray], np.ndarray]] = [lambda points: points + (hand - source.hand[0])]
    moves += [_move(source.first[name], scene[name]) for name in plan.frames]
    starts = [0, *(max(1, step - plan.early) for step, _ in source.contacts), len(source.hand)]
    path = np.empty_like(source.hand)
    for (start, end), (before, now) in zip(pairwise(starts), pairwise(moves), strict=True):
        points, travelled = source.hand[start:end], source.travelled[start:end]
        share = (travelled - travelled[0]) / max(1e-6, plan.blend * (travelled[-1] - travelled[0]))
        weight = _smooth(share.clip(0, 1))[:, None]
        path[start:end] = (1 - weight) * before(points) + weight * now(points)
    return path


def replaying(replay: Replay, environment: Environment, led: Callable[[], bool] = lambda: False) -> Expert:
    """Return what acts as ``replay`` says, from the first observation of the episode on.

    Args:
        led: Tells whether another one acted last, which may have been faster.

    Raises:
        ParameterError: The environment tells nothing of hand and frames.
    """
    replayer: _Replayer | None = None

    def act(observation: dict[str, Any]) -> np.ndarray:
        nonlocal replayer
        hand = environment.hand(observation)
        if replayer is None:
            scene = with_directions(environment.frames(observation))
            path = moved_path(replay.source, replay.plan, scene, hand)
            replayer = _Replayer(replay.source, replay.plan, path, environment.hand_step)
        if led():
            replayer.catch_up(hand)
        return replayer.action(hand)

    return act


class _Replayer:
    """Follows ``path``; an action of 1 moves the hand by ``hand_step`` metres."""

    def __init__(self, source: Source, plan: AmplificationPlan, path: np.ndarray, hand_step: float):
        self._actions, self._plan, self._path = source.actions, plan, path
        self._steps = np.diff(path, axis=0, append=path[-1:])
        self._extra = (self._steps - np.diff(source.hand, axis=0, append=source.hand[-1:])) / hand_step
        self._phase, self._waited = 0.0, 0

    def catch_up(self, hand: np.ndarray) -> None:
        """Go on from where the path ahead is nearest to ``hand`` (3,), but not beyond what the gripper has to do."""
        now = min(int(self._phase), len(self._path) - 1)
        ahead = slice(now, now + _LOOKS_AHEAD)
        changes = np.abs(self._actions[ahead, 3:] - self._actions[now, 3:]).max(axis=1, initial=0) >= _SAME_GRIP
        until = int(changes.argmax()) if changes.any() else len(changes)
        distances = np.linalg.norm(self._path[ahead][:until] - hand, axis=1)
        nearest = int(distances.argmin())
        if distances[0] - distances[nearest] > _NEARER_M:
            self._phase = float(now + nearest)

    def action(self, hand: np.ndarray) -> np.ndarray:
        """Return the action (action_dim,) in [-1, 1] at ``hand`` (3,), and go on along the path."""
        step = min(int(self._phase), len(self._path) - 1)
        missing = self._path[step] + (self._phase - step) * self._steps[step] - hand
        far = bool(np.abs(missing).max() > self._plan.tolerance)
        action = self._actions[step].copy()
        if far and self._waited < _PATIENCE:
            self._waited += 1
            action[:3] = _CATCHING_UP * self._plan.gain * missing
        else:
            self._waited = max(0, self._waited - 1) if far else 0
            forward = action[:3] + self._extra[step]
            rate = self._rate(forward, step)
            self._phase += rate
            action[:3] = rate * forward + self._plan.gain * missing
        return action.clip(-1, 1)

    def _rate(self, forward: np.ndarray, step: int) -> float:
        """Return at which share of its speed the demonstration goes on: a stretched segment takes longer."""
        most = np.abs(forward).max()
        if most <= 1 or np.abs(self._extra[step]).max() <= _STRETCHED:
            return 1.0
        return max(_SLOWEST, 1 / most)


def _move(before: np.ndarray, now: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what moves points (n, 3) as a frame was moved."""
    move = now @ np.linalg.inv(before)
    return lambda points: points @ move[:3, :3].T + move[:3, 3]


def _smooth(share: np.ndarray) -> np.ndarray:
    return share * share * (3 - 2 * share)
