"""Demonstrations made of numbers, as the amplifier sees them."""

import numpy as np

from leagents_kedro.simulation.sources import GOAL, Source, at, with_directions

START = np.array([0.0, 0.6, 0.02])
END = np.array([0.2, 0.8, 0.02])
STEP_M = 0.01


def moved_from(step: int, steps: int, towards: tuple[float, float, float] = (STEP_M, 0, 0)) -> np.ndarray:
    """Return where a thing is (steps, 3) that is moved from ``step`` on, by ``towards`` metres a step."""
    return START + np.arange(steps).clip(min=step)[:, None] * np.array(towards) - step * np.array(towards)


def source(steps: int = 40, **tracks: np.ndarray) -> Source:
    """Return a demonstration whose hand goes evenly; there is a goal, and an object that moves halfway."""
    tracks = {"object": moved_from(steps // 2, steps), GOAL: np.tile(END, (steps, 1))} | tracks
    hand = np.linspace([0, 0.5, 0.2], [0.2, 0.7, 0.1], steps)
    actions = np.zeros((steps, 4))
    actions[:-1, :3] = np.diff(hand, axis=0) / STEP_M
    actions[steps // 2 :, 3] = 1
    first = with_directions({name: at(track[0]) for name, track in tracks.items()})
    return Source("task", actions, hand, first, tracks)
