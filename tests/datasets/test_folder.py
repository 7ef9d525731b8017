import pytest
from kedro.io import DataCatalog
from kedro.io import DatasetError as KedroDatasetError

from leagents_kedro.datasets.folder import FolderDataset


def catalog(path, version):
    return DataCatalog.from_config({"cache": {"type": FolderDataset, "filepath": str(path)}}, save_version=version)


def test_every_run_gets_the_same_folder_also_after_it_was_deleted(tmp_path):
    folder = catalog(tmp_path / "a" / "cache", "run-1").load("cache")
    (folder / "file").touch()
    assert (catalog(folder, "run-2").load("cache") / "file").exists()
    (folder / "file").unlink()
    folder.rmdir()
    assert list(catalog(folder, "run-3").load("cache").iterdir()) == []


def test_it_cannot_be_saved(tmp_path):
    with pytest.raises(KedroDatasetError, match="an input of a node"):
        catalog(tmp_path, "run-1").save("cache", tmp_path)
