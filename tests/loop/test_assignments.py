import pytest

from leagents_kedro.errors import ParameterError
from leagents_kedro.loop.assignments import assignments, by_item

LADDER = {"training": {"ladder": [{"steps": 1, "options": {"dim": 8, "heads": 2}}, {"steps": 2}], "seed": 0}}


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", {}),
        ("a.b=1,a.c=0.5 , d=", {"a": {"b": 1, "c": 0.5}, "d": None}),
        ("a.b=[reach-v3]", {"a": {"b": ["reach-v3"]}}),
        ("a.b=[reach-v3, push-v3],c={d: 1, e: [2]}", {"a": {"b": ["reach-v3", "push-v3"]}, "c": {"d": 1, "e": [2]}}),
        ("a='x,y',b=p=q,c=https://h/x", {"a": "x,y", "b": "p=q", "c": "https://h/x"}),
        ("a=12e4567,b=007", {"a": "12e4567", "b": "007"}),
        ("a=1e5,b=1e-4,c=0,d=1234567", {"a": 1e5, "b": 1e-4, "c": 0, "d": 1234567}),
    ],
)
def test_what_people_write_is_what_they_get(text, parameters):
    assert assignments(text) == parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=[b", r"expected values in YAML, got 'a=\[b': .*expected ',' or '\]'"),
        ("a:1", "expected key=value, separated by commas, got 'a:1'"),
        ("=1", "expected key=value, separated by commas, got '=1'"),
        ("suite.tasks=reach-v3,push-v3", "expected key=value, separated by commas, got 'push-v3'"),
    ],
)
def test_what_is_no_assignment_is_refused_in_a_line(text, message):
    with pytest.raises(ParameterError, match=message) as refused:
        assignments(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("written", ["training.ladder.0.options.dim=4", "training.ladder[0].options.dim=4"])
def test_an_item_of_a_list_is_changed_by_its_number(written):
    changed = by_item(assignments(written), LADDER, "")
    assert changed == {"training": {"ladder": [{"steps": 1, "options": {"dim": 4, "heads": 2}}, {"steps": 2}]}}
    assert LADDER["training"]["ladder"][0]["options"]["dim"] == 8


@pytest.mark.parametrize("key", ["2", "steps", "-1"])
def test_an_item_that_is_not_there_is_named(key):
    with pytest.raises(ParameterError, match=rf"training.ladder.{key}: training.ladder is a list of 2; name an item"):
        by_item({"training": {"ladder": {key: 1}}}, LADDER, "")
