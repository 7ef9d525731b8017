"""Segments begin where things first move; frames are what is placed anew, each in its own way."""

import numpy as np
import pytest

from leagents_kedro.simulation.sources import GOAL, WORLD, at, distinct_frames, with_directions
from support.sources import END, START, moved_from, source

STEPS = 40
QUARTER = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # a quarter turn about the vertical


def test_a_segment_begins_where_a_thing_moves():
    assert source(STEPS).contacts == [(STEPS // 2 + 1, "object")]


def test_what_falls_into_place_first_is_not_moved_yet():
    track = moved_from(20, STEPS)
    track[:5, 2] += 0.02 * np.arange(5, 0, -1)
    assert source(STEPS, object=track).contacts == [(21, "object")]
    assert source(STEPS, object=np.concatenate([track[:20], np.tile(track[19], (20, 1))])).contacts == []


def test_two_things_make_three_segments_in_the_order_of_time():
    both = source(STEPS, object=moved_from(25, STEPS), tool=moved_from(10, STEPS))
    assert both.contacts == [(11, "tool"), (26, "object")]


@pytest.mark.parametrize(
    ("step", "begins"), [(1, []), (2, []), (3, [4]), (STEPS - 4, [STEPS - 3]), (STEPS - 3, []), (STEPS - 2, [])]
)
def test_a_segment_is_not_too_short(step, begins):
    track = moved_from(step, STEPS, (0.02, 0, 0))
    assert [found for found, _ in source(STEPS, object=track).contacts] == begins


def test_of_two_things_moved_at_once_the_first_begins_the_segment():
    assert source(STEPS, object=moved_from(10, STEPS), lid=moved_from(13, STEPS)).contacts == [(11, "object")]
    assert len(source(STEPS, object=moved_from(10, STEPS), lid=moved_from(14, STEPS)).contacts) == 2


def test_a_thing_that_trembles_is_not_moved():
    track = np.tile(START, (STEPS, 1))
    track[20:, 0] += 0.008
    assert source(STEPS, object=track).contacts == []


def test_the_path_of_the_hand_has_a_length():
    one = source(STEPS)
    assert one.travelled[0] == 0
    np.testing.assert_allclose(one.travelled[-1], np.linalg.norm(one.hand[-1] - one.hand[0]))


def scenes(number: int = 6, **changes) -> list[dict[str, np.ndarray]]:
    """Scenes in which the object is placed anew; ``changes`` give further frames from where it was placed."""
    shifts = np.random.default_rng(0).uniform(-0.1, 0.1, (number, 3))
    return [{"object": at(START + shift)} | {name: made(shift) for name, made in changes.items()} for shift in shifts]


def test_what_stands_still_is_no_frame_and_the_world_is_always_one():
    assert distinct_frames(scenes(table=lambda _: at(END))) == ["object", WORLD]
    assert distinct_frames([{"table": at(END)}] * 6) == [WORLD]


def test_what_moves_together_is_one_frame():
    assert distinct_frames(scenes(handle=lambda shift: at(END + shift), goal=lambda shift: at(END - shift))) == [
        "object",
        "goal",
        WORLD,
    ]


def test_what_is_turned_in_its_place_is_a_frame():
    turned = scenes(dial=lambda shift: at(END, QUARTER if shift[0] > 0 else None))
    assert distinct_frames(turned) == ["object", "dial", WORLD]


def test_what_is_missing_in_a_scene_is_no_frame():
    some = scenes(lid=lambda shift: at(END - shift))
    del some[-1]["lid"]
    assert distinct_frames(some) == ["object", WORLD]


def test_directions_come_after_places_and_the_world_last():
    known = [with_directions(scene) for scene in scenes(goal=lambda shift: at(END - shift))]
    assert distinct_frames(known) == ["object", GOAL, f"object towards {GOAL}", WORLD]


def test_a_direction_shows_from_a_thing_to_the_goal():
    frames = with_directions({"object": at(START), GOAL: at(START + np.array([0, 0.2, 0.1]))})
    np.testing.assert_allclose(frames[f"object towards {GOAL}"], at(START, QUARTER), atol=1e-12)
    assert f"{GOAL} towards {GOAL}" not in frames
    above = with_directions({"object": at(START), GOAL: at(START + np.array([0, 0, 0.1]))})
    assert above.keys() == {"object", GOAL, WORLD}, "what lies below the goal has no direction to it"
