import json

import pytest
from kedro.io import DatasetError as KedroDatasetError
from kedro.io.core import Version

from leagents_kedro.datasets.record import RecordDataset
from leagents_kedro.records import Plan, Selection


def dataset(path, model="leagents_kedro.records.Selection"):
    version = Version(None, "2026-01-01T00.00.00.000Z")
    return RecordDataset(filepath=str(path / "selection.json"), model=model, version=version)


def test_a_record_comes_back_as_itself(tmp_path):
    record = Selection(episodes={"open the drawer": (1, 2)})
    dataset(tmp_path).save(record)
    assert dataset(tmp_path).load() == record
    assert json.loads(dataset(tmp_path).preview()) == {"episodes": {"open the drawer": [1, 2]}}


def test_another_record_is_refused(tmp_path):
    plan = Plan(cycle=1, run=1, rung=0, initial="scratch", training_steps=1, reason="")
    with pytest.raises(KedroDatasetError, match="expected a Selection, got Plan"):
        dataset(tmp_path).save(plan)


def test_a_file_that_does_not_fit_the_model_does_not_load(tmp_path):
    dataset(tmp_path).save(Selection(episodes={}))
    with pytest.raises(KedroDatasetError, match=r"selection\.json[\s\S]*cycle"):
        dataset(tmp_path, model="leagents_kedro.records.Plan").load()
