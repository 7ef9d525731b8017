import pytest
from kedro.io import DataCatalog
from kedro.io import DatasetError as KedroDatasetError

from leagents_kedro.datasets.workspace import WorkspaceDataset


def catalog(path, version, load_versions=None):
    config = {"scratch": {"type": WorkspaceDataset, "filepath": str(path / "scratch")}}
    return DataCatalog.from_config(config, save_version=version, load_versions=load_versions)


def test_a_run_finds_its_folder_again_and_the_next_run_gets_its_own(tmp_path):
    (catalog(tmp_path, "run-1").load("scratch") / "progress").touch()
    assert (catalog(tmp_path, "run-1", {"scratch": "run-1"}).load("scratch") / "progress").exists()
    assert list(catalog(tmp_path, "run-2").load("scratch").iterdir()) == []
    assert catalog(tmp_path, "run-2").load("scratch") == tmp_path / "scratch" / "run-2"


def test_discarding_leaves_other_runs_alone(tmp_path):
    for run in ("run-1", "run-2"):
        (catalog(tmp_path, run).load("scratch") / "progress").touch()
    for run in ("run-1", "never ran"):
        catalog(tmp_path, "run-2")["scratch"].discard(run)
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["run-2"]


def test_it_cannot_be_saved(tmp_path):
    with pytest.raises(KedroDatasetError, match="an input of a node"):
        catalog(tmp_path, "run-1").save("scratch", tmp_path)
