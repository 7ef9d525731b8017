"""Killed anywhere, or asked to stop, the real loop ends up as if nothing had happened: see `torture`."""

import json
import signal
import subprocess
import sys

import pytest
import yaml

from torture.points import (
    PARAMETERS,
    ROOT,
    Point,
    Project,
    Reference,
    code_files,
    sample,
    shared_reference,
    shared_server,
    try_point,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kill points are found by way of /proc")


@pytest.fixture(scope="module")
def server():
    return shared_server()


@pytest.fixture(scope="module")
def reference():
    return shared_reference()


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")


def first(reference: Reference, kind: str, what: str = "", nth: int = 1) -> Point:
    """Return the ``nth`` event of this kind, on a path that ends so."""
    found = [point for point in reference.points if point.what.startswith(kind) and point.what.endswith(what)]
    return found[nth - 1]


@pytest.mark.slow
def test_there_are_points_in_everything_that_writes(reference):
    points = {f"{point.strike} {point.what}" for point in reference.points}
    for what in (
        "hook before_dataset_saved",
        "step",
        "block 2",
        "write data/ledger.jsonl",
        "write data/06_models/candidate/.../.staging-candidate/checkpoint.json",
        "write data/07_model_output/rollouts/.../.staging-rollouts/meta/info.json",
        "rename data/05_model_input/mix/.../.staging-mix",
        "link data/06_models/candidate/.../candidate/pretrained_model/model.safetensors",
    ):
        assert any(point.endswith(what) for point in points), f"no point in {what}"
    assert len(reference.points) >= 500


@pytest.mark.slow
def test_killed_at_a_few_points_the_loop_ends_as_the_undisturbed_one(reference, server):
    before_the_first_save = first(reference, "unlink", ".staging-mix")
    corrections_made = first(reference, "mkdir", ".staging-demonstrations")
    for point in [before_the_first_save, corrections_made, *sample(reference.points, 3)]:
        assert not try_point(point, reference, server), point


def test_what_was_tried_is_forgotten_when_the_code_changes():
    files = {str(path.relative_to(ROOT)) for path in code_files()}
    assert {
        "torture/points.py",
        "torture/server.py",
        "conf/base/catalog.yml",
        "src/leagents_kedro/settings.py",
    } <= files


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_many_points_the_loop_ends_as_the_undisturbed_one():
    """An even sample; ``make torture`` tries all."""
    torture = subprocess.run([sys.executable, "-m", "torture", "--points", "60"], cwd=ROOT, check=False)
    assert torture.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strike", "code"),
    [("TERM", 128 + signal.SIGTERM), ("INT", 128 + signal.SIGINT)],
)
@pytest.mark.parametrize(
    ("kind", "what", "nth"),
    [
        ("step", "", 3),
        ("block", "", 2),
        ("write", ".staging-candidate/checkpoint.json", 1),
        ("write", "data/ledger.jsonl", 1),
    ],
)
def test_asked_to_stop_the_loop_says_how_to_go_on_and_does(reference, server, project, strike, code, kind, what, nth):
    stopped = server.run(project, at=first(reference, kind, what, nth).at, strike=strike)
    assert stopped.code == code, stopped.output
    assert f"Stopped by SIG{strike}; run the same command to go on." in stopped.output
    assert "Traceback" not in stopped.output
    published = project.published
    resumed = server.run(project)
    assert not list(reference.failures(project, stopped, published, resumed))


def test_the_real_loop_ends_well(reference):
    assert reference.ended.code == 0, reference.ended.output
    assert "No further cycle: run 1 has its" in " ".join(reference.ended.output.split())


def test_a_killed_training_goes_on_with_the_frames_that_it_would_have_seen(reference, server, project):
    killed = server.run(project, at=first(reference, "step", nth=4).at)
    resumed = server.run(project)
    assert killed.frames == reference.ended.frames[:4]
    assert resumed.frames == reference.ended.frames[2:], "the last checkpoint was made after two steps"


@pytest.mark.slow
def test_a_killed_training_of_a_policy_of_ours_leaves_what_an_undisturbed_one_does(server, tmp_path):
    parameters = yaml.safe_load(PARAMETERS)
    [act] = parameters["training"]["ladder"]
    options = {"chunk_size": 10, "n_action_steps": 10, "hidden_dim": 16, "positions": [0, 4, 36]}
    parameters["training"]["ladder"] = [act | {"policy_type": "chunked_mlp", "options": options}]
    reference, project = (Project.create(tmp_path / name / "project", json.dumps(parameters)) for name in ("a", "b"))
    undisturbed = Reference.of(reference, server)
    killed = server.run(project, at=first(undisturbed, "step", nth=4).at)
    assert killed.frames == undisturbed.ended.frames[:4]
    published = project.published
    assert not list(undisturbed.failures(project, killed, published, server.run(project)))


@pytest.mark.slow
@pytest.mark.parametrize(("what", "nth"), [("recipe.json", 1), ("meta/info.json", 1)])
def test_killed_while_a_demonstration_is_amplified_the_loop_ends_as_the_undisturbed_one(server, tmp_path, what, nth):
    parameters = yaml.safe_load(PARAMETERS)
    parameters["demonstrations"]["amplify"] = {"of": "experts", "sources_per_task": 1, "min_rate": 0}
    reference, project = (Project.create(tmp_path / name / "project", json.dumps(parameters)) for name in ("a", "b"))
    undisturbed = Reference.of(reference, server)
    killed = server.run(project, at=first(undisturbed, "write", what, nth).at)
    assert killed.code == -signal.SIGKILL
    published = project.published
    assert not list(undisturbed.failures(project, killed, published, server.run(project)))
