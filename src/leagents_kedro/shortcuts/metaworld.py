"""Shortcuts through what MetaWorld computes in Python around each step of physics, with its very numbers."""

from functools import partial

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from leagents_kedro.shortcuts.versions import are_tried

TRIED = {"metaworld": "3.0.0", "mujoco": "3.16.0"}

_CURRENT_DIM = 18  # hand (3), gripper's opening, and position (3) and quaternion (4) of up to two objects


def speed_up(simulation: SawyerXYZEnv) -> None:
    """Let ``simulation`` step in down to a third of the time."""
    if not are_tried("metaworld", TRIED):
        return
    simulation.touching_object = partial(_touches, simulation)
    simulation._get_curr_obs_combined_no_goal = partial(_current_observation, simulation)


def _touches(simulation: SawyerXYZEnv, geom: int) -> bool:
    """Return whether both pads of the gripper press on ``geom``.

    MetaWorld makes four Python objects of each contact for it.
    """
    data = simulation.data
    pairs, addresses = data.contact.geom, data.contact.efc_address
    of_geom = (pairs == geom).any(axis=1)

    def presses(pad: str) -> bool:
        by_pad = (pairs == data.geom(pad).id).any(axis=1)
        return sum(data.efc_force[addresses[of_geom & by_pad]]) > 0

    return presses("leftpad_geom") and presses("rightpad_geom")


def _current_observation(simulation: SawyerXYZEnv) -> np.ndarray:
    """Return what is seen now (18,), without the step before and the goal."""
    data = simulation.data
    opening = np.linalg.norm(data.body("rightclaw").xpos - data.body("leftclaw").xpos) / 0.1
    positions = simulation._get_pos_objects().reshape(-1, 3)
    quaternions = simulation._get_quat_objects().reshape(-1, 4)
    current = np.zeros(_CURRENT_DIM)
    current[:3] = simulation.get_endeff_pos()
    current[3] = min(opening, 1.0)
    current[4 : 4 + 7 * len(positions)] = np.hstack((positions, quaternions)).ravel()
    return current
