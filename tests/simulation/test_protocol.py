"""What outcomes depend on has a name, so that a decision compares like with like."""

from importlib.metadata import version

from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.simulation.environments import Environment, environment_of
from leagents_kedro.simulation.protocol import _installed, difference, protocol_digest, protocol_of
from support.parameters import base_parameters, described


def test_it_holds_parameters_versions_and_code():
    suite = described("metaworld_state", "reach-v3", episode_length=200)
    conditions = protocol_of(suite, EvaluationParams(**base_parameters("evaluation")), 0)
    assert conditions["options"] == '{"episode_length": 200}'
    assert (conditions["device"], conditions["run_seed"]) == ("cpu", "0")
    for library in ("lerobot", "metaworld", "mujoco", "gymnasium", "torch", "numpy"):
        assert conditions[library] == version(library)
    assert all(len(value) <= 200 for value in conditions.values()), "a person can read what differs"


def test_each_environment_has_its_simulator_and_its_own_code():
    assert "gym-pusht" in _installed("pusht")
    assert "metaworld" not in _installed("pusht")
    assert _installed("pusht")["code of engine"] != _installed("metaworld_state")["code of engine"]
    assert type(environment_of("pusht")) is Environment


def test_a_change_of_the_code_of_a_plug_in_is_another_protocol(tmp_path, monkeypatch):
    (tmp_path / "lerobot_env_here").mkdir()
    source = tmp_path / "lerobot_env_here" / "__init__.py"
    source.write_text("success = True")
    (tmp_path / "lerobot_policy_here.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    before = _installed.__wrapped__("here")
    assert "code of lerobot_policy_here" in before
    source.write_text("success = False")
    now = _installed.__wrapped__("here")
    assert difference(before, now).startswith("code of lerobot_env_here ")
    assert protocol_digest(before) != protocol_digest(now)


def test_what_differs_is_told_with_both_values():
    before, now = {"mujoco": "3.16.0", "torch": "2.11.0"}, {"mujoco": "3.17.0", "torch": "2.11.0", "pymunk": "6.11"}
    assert difference(before, now) == "mujoco 3.16.0, now 3.17.0; pymunk none, now 6.11"
