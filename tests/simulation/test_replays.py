"""A demonstration moves with the things that it is about, and the hand follows it."""

from typing import Any

import numpy as np
import pytest

from leagents_kedro.records import AmplificationPlan
from leagents_kedro.simulation.environments import Environment
from leagents_kedro.simulation.replays import Replay, moved_path, replaying
from leagents_kedro.simulation.sources import GOAL, WORLD, Frames, Source, at, with_directions
from support.sources import END, START, STEP_M, source

PLAN = AmplificationPlan(frames=("object", GOAL))
SOURCE = source()
(CONTACT, _), *_ = SOURCE.contacts
TO_OBJECT, TO_GOAL = np.array([0.05, -0.04, 0]), np.array([-0.06, 0.03, 0.02])
QUARTER = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # a quarter turn about the vertical


def scene(to_object: np.ndarray = TO_OBJECT, to_goal: np.ndarray = TO_GOAL, turn: np.ndarray | None = None) -> Frames:
    return with_directions({"object": at(START + to_object, turn), GOAL: at(END + to_goal)})


def changed(**values: Any) -> AmplificationPlan:
    return PLAN.model_copy(update=values)


@pytest.mark.parametrize("frames", [("object", GOAL), (WORLD, "object"), (f"object towards {GOAL}", WORLD)])
def test_in_its_own_scene_nothing_is_moved(frames):
    path = moved_path(SOURCE, changed(frames=frames), SOURCE.first, SOURCE.hand[0])
    np.testing.assert_allclose(path, SOURCE.hand, atol=1e-12)


def test_each_segment_ends_where_its_frame_was_moved():
    path = moved_path(SOURCE, PLAN, scene(), SOURCE.hand[0])
    np.testing.assert_allclose(path[CONTACT - 1], SOURCE.hand[CONTACT - 1] + TO_OBJECT)
    np.testing.assert_allclose(path[-1], SOURCE.hand[-1] + TO_GOAL)
    still = moved_path(SOURCE, changed(frames=("object", WORLD)), scene(), SOURCE.hand[0])
    np.testing.assert_allclose(still[-1], SOURCE.hand[-1])


def test_the_path_begins_at_the_hand():
    hand = SOURCE.hand[0] + [0.01, 0.02, -0.03]
    path = moved_path(SOURCE, PLAN, scene(), hand)
    np.testing.assert_allclose(path[0], hand)
    np.testing.assert_allclose(path[-1], SOURCE.hand[-1] + TO_GOAL)


@pytest.mark.parametrize("blend", [0.4, 0.7, 1.0])
def test_the_moves_are_blended_without_a_jump(blend):
    path = moved_path(SOURCE, changed(blend=blend), scene(), SOURCE.hand[0])
    jumps = np.linalg.norm(np.diff(path - SOURCE.hand, axis=0), axis=1)
    steps = min(CONTACT, len(SOURCE.hand) - CONTACT) - 1
    steepest = 1.5 / (blend * steps)  # of a smooth step, a step
    assert jumps.max() <= steepest * np.linalg.norm(TO_GOAL - TO_OBJECT) + 1e-9
    begun = np.linalg.norm((path - SOURCE.hand)[:CONTACT] - TO_OBJECT, axis=1)
    assert np.all(np.diff(begun) < 1e-9), "the shift grows steadily"
    arrived = int(np.ceil(blend * (CONTACT - 1)))
    np.testing.assert_allclose(begun[arrived:], 0, atol=1e-9)


def test_a_segment_may_begin_before_its_contact():
    early = moved_path(SOURCE, changed(early=6), scene(), SOURCE.hand[0])
    np.testing.assert_allclose(early[CONTACT - 7], SOURCE.hand[CONTACT - 7] + TO_OBJECT)
    assert np.abs(early[CONTACT - 1] - SOURCE.hand[CONTACT - 1] - TO_OBJECT).max() > 0.01


def test_a_turned_object_turns_the_path_about_it():
    path = moved_path(SOURCE, PLAN, scene(turn=QUARTER), SOURCE.hand[0])
    seen = SOURCE.hand[CONTACT - 1] - START
    np.testing.assert_allclose(path[CONTACT - 1], START + TO_OBJECT + QUARTER @ seen)


def test_a_direction_turns_the_path_with_the_goal():
    plan = changed(frames=(f"object towards {GOAL}", GOAL))
    around = np.array([-0.2, 0.2, 0])  # from the object to the goal, a quarter further than it was
    path = moved_path(SOURCE, plan, scene(np.zeros(3), START + around - END), SOURCE.hand[0])
    seen = SOURCE.hand[CONTACT - 1] - START
    np.testing.assert_allclose(path[CONTACT - 1], START + QUARTER @ seen)


class Hand(Environment):
    """A hand that goes where it is told, in a scene that stays."""

    hand_step = STEP_M

    def hand(self, observation: dict[str, Any]) -> np.ndarray:
        return observation["hand"]

    def frames(self, observation: dict[str, Any]) -> Frames:
        return observation["frames"]


def followed(
    one: Source, frames: Frames, steps: int, moves: Any = lambda step, action: action[:3]
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the hand went (steps, 3), and the actions (steps, 4)."""
    act = replaying(Replay("task", 0, one, PLAN), Hand("hand"))
    hand, hands, actions = one.hand[0], [], []
    for step in range(steps):
        hands.append(hand)
        actions.append(act({"hand": hand, "frames": frames}))
        hand = hand + STEP_M * moves(step, actions[-1])
    return np.array(hands), np.array(actions)


def test_in_its_own_scene_the_demonstration_is_repeated():
    hands, actions = followed(SOURCE, SOURCE.first, len(SOURCE.hand))
    np.testing.assert_allclose(actions, SOURCE.actions, atol=1e-9)
    np.testing.assert_allclose(hands, SOURCE.hand, atol=1e-9)


def test_the_hand_arrives_in_another_scene_and_the_gripper_closes_as_demonstrated():
    hands, actions = followed(SOURCE, scene(), 2 * len(SOURCE.hand))
    np.testing.assert_allclose(hands[-1], SOURCE.hand[-1] + TO_GOAL, atol=1e-3)
    closed = int(actions[:, 3].argmax())
    assert set(actions[:closed, 3]) == {0}
    assert set(actions[closed:, 3]) == {1}
    np.testing.assert_allclose(hands[closed], SOURCE.hand[CONTACT - 1] + TO_OBJECT, atol=0.02)


def test_a_longer_way_takes_longer():
    far = scene(TO_OBJECT, np.array([0.6, 0, 0]))
    hands, actions = followed(SOURCE, far, 4 * len(SOURCE.hand))
    assert np.abs(actions).max() <= 1
    assert np.linalg.norm(hands[len(SOURCE.hand)] - hands[-1]) > 0.2, "still on its way"
    np.testing.assert_allclose(hands[-1], SOURCE.hand[-1] + [0.6, 0, 0], atol=1e-3)


def test_a_hand_that_is_held_is_waited_for_and_then_no_longer():
    held = lambda step, action: np.zeros(3) if step >= 5 else action[:3]  # noqa: E731
    _, actions = followed(SOURCE, scene(), 200, held)
    closed = int(actions[:, 3].argmax())
    assert len(SOURCE.hand) // 2 + 20 <= closed <= 100, "the demonstration waits, and goes on in the end"
    pushed = lambda step, action: action[:3] + (step == 10) * np.array([8.0, 0, 0])  # noqa: E731
    hands, _ = followed(SOURCE, SOURCE.first, 60, pushed)
    np.testing.assert_allclose(hands[-1], SOURCE.hand[-1], atol=1e-3)


def test_a_hand_that_another_one_led_ahead_is_caught_up_with_until_the_gripper_has_to_close():
    def right(hand: np.ndarray, led: bool) -> np.ndarray:
        """Return the second action, after the hand was led there."""
        act = replaying(Replay("task", 0, SOURCE, PLAN), Hand("hand"), lambda: led)
        act({"hand": SOURCE.hand[0], "frames": SOURCE.first})
        return act({"hand": hand, "frames": SOURCE.first})

    np.testing.assert_allclose(right(SOURCE.hand[10], led=True), SOURCE.actions[10], atol=1e-9)
    assert right(SOURCE.hand[10], led=False)[:3] @ SOURCE.actions[10, :3] < 0, "it would be drawn back"
    closed = len(SOURCE.hand) // 2
    close_to = replaying(Replay("task", 0, SOURCE, PLAN), Hand("hand"), lambda: True)
    seen = [close_to({"hand": SOURCE.hand[step], "frames": SOURCE.first})[3] for step in (0, 12, closed + 2)]
    assert seen == [0, 0, 0], "it has not been closed"


def test_a_thing_that_nobody_moved_leaves_one_segment():
    reached = source(object=np.tile(START, (40, 1)))
    path = moved_path(reached, AmplificationPlan(frames=(GOAL,)), scene(), reached.hand[0])
    np.testing.assert_allclose(path[-1], reached.hand[-1] + TO_GOAL)
