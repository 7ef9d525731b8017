"""A demonstration as the amplifier sees it: what the hand did, and the frames that things had meanwhile.

A frame is a pose (4, 4) in the world: a rotation, and a position in metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from leagents_kedro.simulation.environments import Environment

WORLD = "world"
GOAL = "goal"
"""The frame that shows where a task is to end, if an environment has one."""

type Frames = dict[str, np.ndarray]

_REST_M, _REST_STEPS = 0.001, 5  # slower than this a step, for so many steps: what fell into place lies still
_MOVED_M, _MOVES_M = 0.005, 0.01  # from rest: it has moved by now; it is moved at all
_SHORTEST_STEPS = 4  # of a segment
_SAME_M, _STILL_M = 0.003, 0.004  # frames that move together, or hardly at all
_LEVER = np.array([[0, 0, 0, 1], [0.1, 0, 0, 1], [0, 0.1, 0, 1]])  # points of a frame by which a turn is seen, too


def at(position: np.ndarray, rotation: np.ndarray | None = None) -> np.ndarray:
    """Return the frame (4, 4) with this position (3,) and rotation (3, 3), upright where there is none."""
    frame = np.eye(4)
    frame[:3, 3] = position
    if rotation is not None:
        frame[:3, :3] = rotation
    return frame


def with_directions(frames: Frames) -> Frames:
    """Return ``frames`` with those of each thing turned about the vertical towards the goal, and that of the world."""
    turned = {}
    for name, frame in frames.items():
        x, y = (frames[GOAL] - frame)[:2, 3] if GOAL in frames else (0.0, 0.0)
        if (distance := np.hypot(x, y)) > _MOVES_M:
            turn = np.array([[x, -y, 0], [y, x, 0], [0, 0, distance]]) / distance
            turned[f"{name} towards {GOAL}"] = at(frame[:3, 3], turn)
    return frames | turned | {WORLD: np.eye(4)}


def distinct_frames(scenes: Sequence[Frames]) -> list[str]:
    """Return the frames that are placed anew from scene to scene, each in another way; the world is the last."""
    names = [name for name in scenes[0] if all(name in scene for scene in scenes)]
    shifts = {name: np.array([(scene[name] @ _LEVER.T)[:3].T for scene in scenes]) for name in names}
    kept: list[str] = []
    for name in sorted(names, key=lambda name: " towards " in name):
        shifts[name] -= shifts[name][0]
        still = np.abs(shifts[name]).max() < _STILL_M
        if name != WORLD and not still and all(np.abs(shifts[name] - shifts[one]).max() > _SAME_M for one in kept):
            kept.append(name)
    return [*kept, WORLD]


@dataclass(frozen=True)
class Source:
    """One successful demonstration of ``task``.

    ``actions`` are (steps, action_dim), ``hand`` (steps, 3) in metres; ``first`` has the frames of the first step, and
    ``tracks`` where things were at each, (steps, 3) in metres.
    """

    task: str
    actions: np.ndarray
    hand: np.ndarray
    first: Frames
    tracks: dict[str, np.ndarray]

    @classmethod
    def of(
        cls, task: str, observations: Sequence[dict[str, np.ndarray]], actions: np.ndarray, environment: Environment
    ) -> "Source":
        """Return what ``environment`` sees in the ``observations`` and ``actions`` of an episode.

        Raises:
            ParameterError: The environment tells nothing of hand and frames.
        """
        frames = [environment.frames(observation) for observation in observations]
        return cls(
            task=task,
            actions=np.asarray(actions, float),
            hand=np.array([environment.hand(observation) for observation in observations]),
            first=with_directions(frames[0]),
            tracks={name: np.array([each[name][:3, 3] for each in frames]) for name in frames[0]},
        )

    @cached_property
    def contacts(self) -> list[tuple[int, str]]:
        """The steps at which a thing first moves, with its name: a new segment begins there."""
        found = sorted(
            (step, name) for name, track in self.tracks.items() if (step := _first_motion(track)) is not None
        )
        kept: list[tuple[int, str]] = []
        for step, name in found:
            in_time = _SHORTEST_STEPS <= step < len(self.actions) - 2
            if in_time and (not kept or step - kept[-1][0] >= _SHORTEST_STEPS):
                kept.append((step, name))
        return kept

    @cached_property
    def travelled(self) -> np.ndarray:
        """The length of the hand's path until each step (steps,), in metres."""
        return np.concatenate([[0], np.linalg.norm(np.diff(self.hand, axis=0), axis=1).cumsum()])


def _first_motion(track: np.ndarray) -> int | None:
    """Return the step at which a thing has left the place where it came to rest first; None if it stays there."""
    speed = np.append(np.linalg.norm(np.diff(track, axis=0), axis=1), 0)
    calm = np.convolve(speed < _REST_M, np.ones(_REST_STEPS), "valid") == _REST_STEPS
    rest = int(calm.argmax()) if calm.any() else 0
    distance = np.linalg.norm(track - track[rest], axis=1)
    distance[:rest] = 0
    return int((distance > _MOVED_M).argmax()) if (distance > _MOVES_M).any() else None
