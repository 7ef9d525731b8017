"""Names of suites and tasks resolve, or say what they should have been; features are what the environment shows."""

import pytest

from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.errors import ConstitutionError, ParameterError
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.records import Suite, Task
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.simulator import Simulator, simulator
from leagents_kedro.simulation.suites import resolve_suite
from support.parameters import base_constitution, described

HERE = {"workers": 1, "episode_timeout_s": None}


def test_groups_expand_in_order_and_duplicates_drop() -> None:
    suite = described("metaworld_state", "push-v3", "very_hard", "reach-v3", "push-v3")
    assert (suite.names[0], suite.names[-1], len(suite.names)) == ("push-v3", "reach-v3", 7)
    assert suite.tasks[0] == Task(name="push-v3", sentence="Push the puck to a goal")


def test_all_groups_are_all_tasks() -> None:
    assert len(described("metaworld_state", "easy", "medium", "hard", "very_hard").tasks) == 50


def test_a_task_without_a_description_is_told_by_its_name() -> None:
    suite = described("pusht", "PushT-v0", obs_type="environment_state_agent_pos")
    assert suite.tasks == (Task(name="PushT-v0", sentence="PushT-v0"),)


def test_a_sentence_that_is_given_is_the_environments_no_more() -> None:
    def asked(environment: str, task: str, sentences: dict[str, str], **options: str) -> Suite:
        suite = SuiteParams(environment=environment, tasks=(task,), options=options, sentences=sentences)
        evaluation = EvaluationParams(slots=1, device="cpu", torch_threads=1, shortcuts=True, **HERE)
        return resolve_suite(suite, evaluation, base_constitution())

    push = asked("pusht", "PushT-v0", {"PushT-v0": "Push the T"}, obs_type="environment_state_agent_pos")
    assert push.sentences == ("Push the T",)
    assert asked("metaworld_state", "reach-v3", {"reach-v3": "Reach it"}).sentences == ("Reach it",)
    with pytest.raises(ParameterError, match=r"suite\.sentences: .*Did you mean 'reach-v3'"):
        asked("metaworld_state", "reach-v3", {"reech-v3": "Reach it"})
    trials = [Trial("reach-v3", 0)]
    suite = described("metaworld_state", "reach-v3", episode_length=150)
    told = suite.model_copy(update={"tasks": (Task(name="reach-v3", sentence="Reach it"),)})
    evaluation = EvaluationParams(slots=1, device="cpu", torch_threads=1, shortcuts=True, **HERE)
    for given, sentence in ((told, "Reach it"), (suite, "Reach a goal position")):
        ((_, episode),) = simulator(given, evaluation).demonstrate(trials, action_noise=0)
        assert episode is not None
        assert episode.sentence == sentence


@pytest.mark.parametrize(
    ("environment", "task", "hint"),
    [
        ("metaworld_state", "reach-v2", "Did you mean 'reach-v3'"),
        ("metaworld_state", "esy", "Did you mean 'easy'"),
        ("metaworld_stat", "reach-v3", "Did you mean 'metaworld_state'"),
        ("pusht", "PushT-v9", "cannot make task 'PushT-v9'"),
    ],
)
def test_unknown_names_are_refused_with_a_hint(environment: str, task: str, hint: str) -> None:
    with pytest.raises(ParameterError, match=hint):
        described(environment, task)


def test_features_are_those_that_a_policy_sees_in_the_order_of_the_configuration() -> None:
    suite = described("metaworld_state", "reach-v3")
    shapes = {key: (feature["dtype"], feature["shape"]) for key, feature in suite.features.items()}
    assert list(shapes.items()) == [
        ("action", ("float32", (4,))),
        ("observation.state", ("float32", (4,))),
        ("observation.environment_state", ("float32", (89,))),
        ("next.reward", ("float32", (1,))),
        ("next.success", ("bool", (1,))),
        ("next.done", ("bool", (1,))),
    ]
    assert suite.fps == 80


def test_cameras_are_videos_of_the_size_that_they_have() -> None:
    """LeRobot's configuration of PushT says 384 x 384 here; the environment shows 96 x 96."""
    suite = described("pusht", "PushT-v0", obs_type="pixels_agent_pos")
    assert suite.features["observation.image"] == {
        "dtype": "video",
        "shape": (96, 96, 3),
        "names": ["height", "width", "channels"],
    }
    assert suite.fps == 10


def test_a_suite_is_the_same_after_it_was_written_and_read() -> None:
    suite = described("metaworld_state", "reach-v3", "push-v3")
    assert Suite.model_validate_json(suite.model_dump_json()) == suite


@pytest.mark.slow
def test_a_worker_sees_what_this_process_sees() -> None:
    there = Simulator("metaworld_state", {}, 2, 100).describe(["reach-v3"])
    assert there == described("metaworld_state", "reach-v3")


def test_an_environment_beyond_the_limits_is_not_even_made(constitution: Constitution) -> None:
    suite = SuiteParams(environment="no_such_package", tasks=("any",), options={})
    evaluation = EvaluationParams(slots=1, device="cpu", torch_threads=1, shortcuts=True, **HERE)
    with pytest.raises(ConstitutionError, match="the environment 'no_such_package' is not among"):
        resolve_suite(suite, evaluation, constitution)
