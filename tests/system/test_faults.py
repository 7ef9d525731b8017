"""What can go wrong around the real loop, tried: each row of docs/faults.md names its test."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leagents_kedro.episodes.batches import BatchReader
from leagents_kedro.episodes.frame_cache import FrameCache
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError
from leagents_kedro.policies.checkpoints import checkpoint_digest, resolve_device
from support.damage import flipped
from support.datasets import numbers, write_random
from torture.points import PARAMETERS, ROOT, Ended, Project, Reference, Server, shared_reference, shared_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kill points are found by way of /proc")
ONE_CYCLE = ("run", "--pipelines=cycle", "--params=loop.max_cycles=1")


@pytest.fixture(scope="module")
def server() -> Server:
    return shared_server()


@pytest.fixture(scope="module")
def reference() -> Reference:
    return shared_reference()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


@pytest.fixture(scope="module")
def one_cycle(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project.create(tmp_path_factory.mktemp("one") / "project")
    ended = server.run(project, *ONE_CYCLE)
    assert ended.code == 0, ended.output
    return project.path


@pytest.fixture
def after_one_cycle(one_cycle: Path, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(one_cycle, tmp_path / "project", dirs_exist_ok=True)))


@pytest.mark.slow
def test_tasks_that_are_added_are_demonstrated_before_the_next_cycle(server: Server, after_one_cycle: Project) -> None:
    parameters = after_one_cycle.path / "conf/local/parameters.yml"
    parameters.write_text(parameters.read_text().replace("tasks: [reach-v3]", "tasks: [reach-v3, drawer-close-v3]"))
    ended = server.run(after_one_cycle, "run", "--params=loop.max_cycles=2")
    assert ended.code == 0, ended.output
    rows = after_one_cycle.rows("ledger")
    assert [row["event"] for row in rows] == ["seed", "opened", "closed"] * 2
    _, first, _, added, second, closed = rows
    assert added["base"] == first["run_id"]
    assert second["pins"]["mix"] == added["run_id"]
    (mix,) = (after_one_cycle.path / "data/05_model_input/mix" / second["run_id"]).iterdir()
    assert {"Reach a goal position", "Push and close a drawer"} == set(Shards(mix).tasks)
    assert closed["record"]["training_device"] == resolve_device("auto", "training.device")
    assert closed["record"]["evaluation_device"] == "cpu"


@pytest.mark.slow
@pytest.mark.parametrize("left", [(), ("01_raw/demonstrations",)])
def test_a_supplement_that_was_killed_is_finished_by_the_next_command(server, after_one_cycle, left) -> None:
    parameters = after_one_cycle.path / "conf/local/parameters.yml"
    parameters.write_text(parameters.read_text().replace("tasks: [reach-v3]", "tasks: [reach-v3, drawer-close-v3]"))
    command = ("run", "--params=loop.max_cycles=2,retention.keep_last=null")
    assert server.run(after_one_cycle, *command).code == 0
    ledger = after_one_cycle.path / "data/ledger.jsonl"
    rows = ledger.read_text().splitlines(keepends=True)
    added, cycle = (json.loads(row)["run_id"] for row in rows[3:5])
    for version in after_one_cycle.path.glob(f"data/*/*/{cycle}"):
        shutil.rmtree(version)
    for version in after_one_cycle.path.glob(f"data/*/*/{added}"):
        if version.parent.relative_to(after_one_cycle.path / "data").as_posix() not in left:
            shutil.rmtree(version)
    ledger.write_text("".join(rows[:4]))
    ended = server.run(after_one_cycle, *command)
    assert ended.code == 0, ended.output
    rows = after_one_cycle.rows("ledger")
    assert [row["event"] for row in rows] == ["seed", "opened", "closed"] * 2
    assert rows[4]["pins"]["mix"] == added
    (mix,) = (after_one_cycle.path / "data/05_model_input/mix" / added).iterdir()
    assert {"Reach a goal position", "Push and close a drawer"} == set(Shards(mix).tasks)


@pytest.fixture
def disk(project: Project) -> Iterator[Callable[[str], None]]:
    """A small disk of its own below ``data``; called with mount options it changes them."""
    data = project.path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(data)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a small disk, which only root may, outside of most containers")
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(data)], check=True) and None
    subprocess.run(["umount", "--lazy", str(data)], check=True)


def told(ended: Ended) -> str:
    """Return the one message that a command ended with."""
    assert ended.code == 1, ended.output
    assert "Traceback" not in ended.output
    return " ".join(ended.output.rpartition("Error: ")[2].split())


def goes_on(project: Project, reference: Reference, server: Server, **request: float) -> None:
    """Make sure that the plain command ends as the loop that nobody disturbed, and writes nothing anew."""
    published = project.published
    resumed = server.run(project, **request)
    assert resumed.code == 0, resumed.output
    now = project.published
    assert not [path for path, place in published.items() if now.get(path, place) != place]
    assert project.content == reference.content


@pytest.mark.slow
def test_a_full_disk(project, disk, reference, server):
    messages = set()
    for kilobytes in range(100, 1000, 250):
        disk(f"size={kilobytes}k")
        ended = server.run(project)
        if ended.code == 0:
            break
        messages.add(told(ended))
    assert len(messages) >= 2, "it was full at several places"
    assert all("No space left on device" in message for message in messages), messages
    disk("size=100m")
    goes_on(project, reference, server)


@pytest.mark.slow
def test_a_read_only_disk(project, disk, reference, server):
    disk("size=100m")
    assert server.run(project, *ONE_CYCLE).code == 0
    disk("ro")
    assert "Read-only file system" in told(server.run(project))
    disk("rw")
    goes_on(project, reference, server)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped_length(content: bytes) -> bytes:
    """Change a bit of the column ``length``, which every reader of a dataset reads; of others a flip waits for one."""
    group = pq.ParquetFile(pa.BufferReader(content)).metadata.row_group(0)
    (column,) = [group.column(n) for n in range(group.num_columns) if group.column(n).path_in_schema == "length"]
    last = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 1
    return content[:last] + bytes([content[last] ^ 4]) + content[last + 1 :]


def without_its_first_byte(content: bytes) -> bytes:
    return content[1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("05_model_input/mix/*/mix/data/*/*.parquet", truncated),
        ("05_model_input/mix/*/mix/data/*/*.parquet", flipped),
        ("05_model_input/mix/*/mix/meta/episodes/*/*.parquet", truncated),
        ("05_model_input/mix/*/mix/meta/episodes/*/*.parquet", flipped_length),
        ("05_model_input/mix/*/mix/meta/tasks.parquet", truncated),
        ("05_model_input/mix/*/mix/meta/info.json", truncated),
        ("05_model_input/mix/*/mix/meta/stats.json", truncated),
        ("06_models/candidate/*/candidate/pretrained_model/model.safetensors", truncated),
        ("06_models/candidate/*/candidate/pretrained_model/model.safetensors", flipped),
        ("06_models/candidate/*/candidate/pretrained_model/config.json", flipped),
        ("06_models/blessed/*/blessed/pretrained_model/model.safetensors", flipped),
        ("06_models/blessed/*/blessed/checkpoint.json", truncated),
        ("07_model_output/outcomes.json/*/outcomes.json", truncated),
        ("ledger.jsonl", without_its_first_byte),
    ],
)
def test_a_damaged_file(after_one_cycle, reference, server, pattern, damage):
    project = after_one_cycle
    file = max((project.path / "data").glob(pattern))
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    message = told(server.run(project))
    assert file.name in message or str(file.parent) in message, message
    file.write_bytes(whole)
    goes_on(project, reference, server)


@pytest.mark.parametrize("damage", [truncated, without_its_first_byte])
def test_a_damaged_video(tmp_path, damage):
    video = {"dtype": "video", "shape": (64, 64, 3), "names": ["height", "width", "channels"]}
    write_random(tmp_path / "mix", numbers(observation__state=4, action=4) | {"observation.images.top": video}, [9])
    (file,) = (tmp_path / "mix").glob("videos/*/*/*.mp4")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(EpisodesError, match=re.escape(str(file))):
        BatchReader(Shards(tmp_path / "mix"), None, None, FrameCache(tmp_path / "frames", 1.0), "cpu")


@pytest.mark.slow
def test_a_damaged_event_log_only_warns(after_one_cycle, reference, server):
    log = after_one_cycle.path / "data" / "events.jsonl"
    log.write_bytes(without_its_first_byte(log.read_bytes()))
    goes_on(after_one_cycle, reference, server)


@pytest.mark.slow
def test_a_damaged_scratch_file_of_an_evaluation(project, reference, server):
    (at, *_) = [at for at, event in enumerate(reference.ended.events, start=1) if event == ("block", 2)][1:]
    assert server.run(project, at=at).code == -signal.SIGKILL
    (kept,) = (project.path / "data" / "00_workspace" / "evaluation").glob("*/*.json")
    kept.write_bytes(truncated(kept.read_bytes()))
    goes_on(project, reference, server)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretrained_model/model.safetensors", "training_state/training_step.json"])
def test_a_damaged_scratch_checkpoint_of_a_training(project, reference, server, name):
    (*_, at) = [at for at, event in enumerate(reference.ended.events, start=1) if event[0] == "step"][:4]
    assert server.run(project, at=at).code == -signal.SIGKILL
    (file,) = (project.path / "data" / "00_workspace" / "training").glob(f"*/checkpoints/*/{name}")
    file.write_bytes(truncated(file.read_bytes()))
    goes_on(project, reference, server)


@pytest.mark.slow
def test_a_loss_that_explodes(project, reference, server):
    parameters = project.path / "conf" / "local" / "parameters.yml"
    parameters.write_text(PARAMETERS.replace("optimizer_lr: 1.0e-3", "optimizer_lr: 1.0e+30"))
    for _ in range(2):
        assert re.search(r"the loss is (nan|inf) .* lower the learning rate", told(server.run(project)))
    assert not list((project.path / "data" / "06_models").glob("*/*/*"))
    assert server.run(project, "loop", "abandon", "1", "--by", "Ada").code == 0
    parameters.write_text(PARAMETERS)
    resumed = server.run(project)
    assert resumed.code == 0, resumed.output
    ends = [(row["event"], row["cycle"]) for row in project.rows("ledger") if row["event"] in {"abandoned", "closed"}]
    assert ends == [("abandoned", 1), ("closed", 2), ("closed", 3)]


@pytest.mark.slow
def test_a_policy_that_returns_nan(project, reference, server):
    import torch
    from safetensors.torch import load_file, save_file

    (at, *_) = [at for at, event in enumerate(reference.ended.events, start=1) if event[0] == "block"]
    assert server.run(project, at=at).code == -signal.SIGKILL
    (candidate,) = (project.path / "data" / "06_models" / "candidate").glob("*/candidate")
    model, record = candidate / "pretrained_model" / "model.safetensors", candidate / "checkpoint.json"
    whole, recorded = model.read_bytes(), record.read_text()
    save_file({name: torch.full_like(weight, torch.nan) for name, weight in load_file(model).items()}, model)
    record.write_text(json.dumps(json.loads(recorded) | {"digest": checkpoint_digest(model.parent)}))
    assert "the policy's actions are not finite; did its training diverge?" in told(server.run(project))
    assert not list((project.path / "data" / "07_model_output" / "outcomes.json").glob("*/outcomes.json"))
    model.write_bytes(whole)
    record.write_text(recorded)
    goes_on(project, reference, server)


@pytest.mark.slow
def test_a_clock_that_is_set_back(project, reference, server):
    assert server.run(project, *ONE_CYCLE).code == 0
    goes_on(project, reference, server, clock_s=-86400.0)
    run_ids = [row["run_id"] for row in project.rows("ledger")]
    assert run_ids == sorted(run_ids)


@pytest.mark.slow
def test_two_drivers_at_once(project, reference, server):
    (at, *_) = [at for at, event in enumerate(reference.ended.events, start=1) if event[0] == "step"]
    first = server.run(project, at=at, strike="STOP")
    assert first.code == -signal.SIGSTOP
    before = (project.path / "data" / "ledger.jsonl").read_bytes()
    message = told(server.run(project))
    assert f"another driver of the loop holds the ledger (pid {first.pid} on " in message
    assert (project.path / "data" / "ledger.jsonl").read_bytes() == before
    os.kill(first.pid, signal.SIGKILL)
    goes_on(project, reference, server)


NOT_SYNCED = (".lock", "events.jsonl", "ledger.jsonl", ".device_seconds")  # by name; the ledger's rows are


@pytest.mark.slow
def test_a_power_cut_takes_nothing_that_the_ledger_knows(reference):
    """Follow what is on the disk for sure: content by a sync of the file, names by a sync of the folder after that."""
    published = re.compile(r"/project/(data|knowledge)/(?!00_workspace|02_intermediate|.*/\.staging)")
    contents: set[str] = set()
    names: set[str] = set()
    unnamed: set[str] = set()
    rows = 0
    for kind, what in reference.ended.journal:
        if kind == "sync":
            contents.add(what)
            names |= {path for path in unnamed if str(Path(path).parent) == what}
            unnamed -= names
            if what.endswith("data/ledger.jsonl"):
                rows += 1
                assert not set(filter(published.search, unnamed))
        elif kind in {"open", "mkdir", "place"} and not what.endswith(NOT_SYNCED):
            unnamed.add(what)
        elif kind == "rename" and "/.staging" in what:
            assert what in contents, f"{what} was renamed before it was brought to the disk"
            below = {path for path in unnamed if path.startswith(f"{what}/")}
            assert not below, f"{what} was renamed before the names of {below} were"
            unnamed.discard(what)
    assert rows == 5  # one of the seed, two of each cycle


def test_every_row_of_the_table_names_tests_that_exist():
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| ")]
    named = [re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row) for row in rows[1:]]
    assert rows[1:]
    assert all(named), "a row without a test"
    for file, test in (test for tests in named for test in tests):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
