"""A loop of two closed cycles and an open one, with real versions on the disk."""

import json
import shutil
from pathlib import Path

import pytest
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset, Version

from leagents_kedro.datasets.checkpoint import CheckpointDataset
from leagents_kedro.datasets.history import HistoryDataset
from leagents_kedro.datasets.lerobot_shards import LeRobotShards
from leagents_kedro.datasets.record import RecordDataset
from leagents_kedro.doctor import loop
from leagents_kedro.doctor.loop import examine_loop
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.history.history import Closed, Opened
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.policies.checkpoints import checkpoint_digest
from leagents_kedro.records import Checkpoint, CycleRecord, Decision, Evidence, Plan, Score
from support.parameters import base_parameters

RUN_IDS = [f"2026-01-0{day}T00.00.00.000Z" for day in (1, 2, 3)]
SCORE = Score(successes=1, episodes=2, low=0.1, high=0.9)
EVIDENCE = Evidence(candidate=SCORE, blessed=None, comparison=None, minimum_detectable_effect=None, task_scores={})


def catalog(folder: Path, version: str | None = None) -> DataCatalog:
    place = Version(None, version)
    return DataCatalog(
        {
            "ledger": HistoryDataset(str(folder / "ledger.jsonl")),
            "mix": LeRobotShards(str(folder / "mix"), place),
            "candidate": CheckpointDataset(str(folder / "candidate"), place),
            "next_blessed": CheckpointDataset(str(folder / "blessed"), place),
            "blessed": CheckpointDataset(str(folder / "blessed"), place, optional=True),
            "decision": RecordDataset(str(folder / "decision.json"), "leagents_kedro.records.Decision", place),
            "parameters": MemoryDataset({}),
        }
    )


@pytest.fixture(scope="module", autouse=True)
def _project() -> None:
    configure_project("leagents_kedro")


@pytest.fixture
def folder(tmp_path, sound, trained) -> Path:
    digest = checkpoint_digest(trained / "pretrained_model")
    checkpoint = Checkpoint(path=trained, policy_type="act", rung=0, step=1, digest=digest)
    ledger = catalog(tmp_path)["ledger"]
    for number, run_id in enumerate(RUN_IDS, start=1):
        common = {"cycle": number, "run_id": run_id, "at": "2026-01-01T00:00:00+00:00"}
        before = RUN_IDS[number - 2] if number > 1 else "none"
        pins = dict.fromkeys(("candidate", "next_blessed", "decision"), run_id) | {"blessed": before, "mix": RUN_IDS[0]}
        ledger.save(Opened(pins=pins, params={}, code=None, **common))
        if number == 3:
            break
        decision = Decision(verdict="promote", reason="because", evidence=EVIDENCE)
        datasets = catalog(tmp_path, run_id)
        if number == 1:
            datasets.save("mix", Shards(sound))
        datasets.save("candidate", checkpoint)
        datasets.save("next_blessed", checkpoint)
        datasets.save("decision", decision)
        plan = Plan(cycle=number, run=1, rung=0, initial="scratch", training_steps=1, reason="test")
        counts = dict.fromkeys(("mix_episodes", "selected_episodes", "evaluated_episodes", "new_episodes"), 6)
        record = CycleRecord(plan=plan, decision=decision, candidate_digest=digest, blessed_digest=None, **counts)
        ledger.save(Closed(seconds=1.0, record=record, **common))
    return tmp_path


def flip(file: Path) -> None:
    """Change one bit of a file that others may share."""
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.unlink()
    file.write_bytes(content)


def test_a_sound_loop_has_no_finding(folder):
    assert examine_loop(catalog(folder)) == []


def test_a_loop_that_has_not_run_has_no_finding(tmp_path):
    assert examine_loop(catalog(tmp_path)) == []


def test_a_changed_checkpoint_is_found(folder):
    flip(folder / "blessed" / RUN_IDS[1] / "blessed" / "pretrained_model" / "model.safetensors")
    found, latest = examine_loop(catalog(folder))
    assert f"blessed/{RUN_IDS[1]}/blessed/pretrained_model" in found.where
    assert (latest.where, "cannot be read" in latest.what) == ("blessed", True)
    assert "a file changed: the recorded digest is" in found.what
    assert "from a copy" in found.fix


def test_the_ledger_knows_the_digest_better_than_the_checkpoint_itself(folder):
    place = folder / "candidate" / RUN_IDS[0] / "candidate"
    flip(place / "pretrained_model" / "config.json")
    digest = checkpoint_digest(place / "pretrained_model")
    record = json.loads((place / "checkpoint.json").read_text())
    (place / "checkpoint.json").write_text(json.dumps(record | {"digest": digest}))
    assert any(f"it is {digest[:12]} now" in finding.what for finding in examine_loop(catalog(folder)))


def test_the_ledger_knows_what_a_stop_blessed(folder):
    ledger = folder / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"promote"', '"stop"', 1))
    decision = folder / "decision.json" / RUN_IDS[0] / "decision.json"
    decision.write_text(decision.read_text().replace('"promote"', '"stop"'))
    assert examine_loop(catalog(folder)) == []
    flip(folder / "blessed" / RUN_IDS[0] / "blessed" / "pretrained_model" / "config.json")
    assert any("the recorded digest is" in finding.what for finding in examine_loop(catalog(folder)))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text[:-20], "expected a Decision in JSON, got something else"),
        (lambda text: text.replace("because", "hearsay"), "the ledger tells something else of cycle 2"),
    ],
)
def test_a_changed_record_is_found(folder, change, what):
    file = folder / "decision.json" / RUN_IDS[1] / "decision.json"
    file.write_text(change(file.read_text()))
    (found,) = examine_loop(catalog(folder))
    assert what in found.what
    assert str(file) in f"{found.where} {found.what}"
    assert "restore" in found.fix


def test_versions_of_old_cycles_must_be_there_and_are_read_where_all_are_asked_for(folder, monkeypatch):
    monkeypatch.setattr(loop, "RECENT", 1)  # the open cycle
    record = folder / "decision.json" / RUN_IDS[1] / "decision.json"
    record.write_text(record.read_text().replace("because", "hearsay"))
    flip(folder / "candidate" / RUN_IDS[0] / "candidate" / "pretrained_model" / "model.safetensors")
    assert examine_loop(catalog(folder)) == []
    assert len(examine_loop(catalog(folder), everything=True)) == 2
    shutil.rmtree(folder / "candidate" / RUN_IDS[0])
    catalog(folder)["candidate"].retire(RUN_IDS[1], "retention")
    (found,) = examine_loop(catalog(folder))
    assert (found.severity, found.where, found.what) == (
        "warning",
        "candidate",
        "1 version of cycles 1 to 1 deleted by hand",
    )


def test_what_the_open_cycle_reads_must_be_there(folder):
    shutil.rmtree(folder / "blessed" / RUN_IDS[1])
    found = {finding.severity: finding for finding in examine_loop(catalog(folder))}
    assert f"version {RUN_IDS[1]}, from which cycle 3 was opened, is not there" in found["error"].what
    assert "kedro loop abandon 3" in found["error"].fix
    assert f"next_blessed of cycle 2 ({RUN_IDS[1]}) were deleted by hand" in found["warning"].what


def test_what_retention_deleted_is_not_missed(folder):
    catalog(folder)["next_blessed"].retire(RUN_IDS[0], "retention")
    assert examine_loop(catalog(folder)) == []


def test_a_damaged_ledger_is_one_finding(folder):
    ledger = folder / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"closed"', '"clothed"', 1))
    (found,) = examine_loop(catalog(folder))
    assert (found.where, "Row 2" in found.what, "restore it" in found.fix) == ("ledger", True, True)


def test_the_latest_mix_is_read(folder):
    (file,) = (folder / "mix").glob("*/mix/data/*/*.parquet")
    file.write_bytes(file.read_bytes()[:-100])
    assert any(finding.where == str(file) for finding in examine_loop(catalog(folder)))


def test_a_rung_that_no_longer_fits_the_weights_that_it_would_go_on_from_is_told(folder, trained):
    """The checkpoint was trained with `dim_model` 8; the last closed cycle said promote."""
    options = json.loads((trained / "pretrained_model" / "config.json").read_text())
    same = {name: options[name] for name in ("chunk_size", "n_action_steps", "dim_model", "n_heads", "dim_feedforward")}

    def found(on_misfit: str = "stop", **changes: object) -> list[str]:
        rung = {"policy_type": "act", "steps": 1, "options": same | changes}
        rung |= {"pretrained_path": None, "pretrained_revision": None}
        training = base_parameters("training", ladder=[rung], on_misfit=on_misfit)
        known = catalog(folder)
        known["head"] = CheckpointDataset(str(folder / "candidate"), Version(None, None), optional=True)
        known["params:training"] = MemoryDataset(TrainingParams(**training))
        known["params:gating"] = MemoryDataset(GatingParams(**base_parameters("gating")))
        return [f"{finding.severity} {finding}" for finding in examine_loop(known)]

    assert found() == []
    assert found(optimizer_lr=1e-3) == []
    (told,) = found(dim_model=16)
    assert told.startswith("error training.ladder: training.ladder[0] does not fit the head checkpoint")
    assert "options.dim_model is 16, was 8. Fix: change it back" in told
    (told,) = found("scratch", dim_model=16)
    assert told.startswith("warning")
