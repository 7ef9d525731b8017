import pytest
from kedro.io import DataCatalog
from kedro.io import DatasetError as KedroDatasetError

ENTRIES = {
    name: {"type": f"leagents_kedro.datasets.{name}"}
    for name in (
        "record.RecordDataset",
        "checkpoint.CheckpointDataset",
        "lerobot_shards.LeRobotShards",
        "page.PageDataset",
        "workspace.WorkspaceDataset",
        "folder.FolderDataset",
        "ledger.LedgerDataset",
        "history.HistoryDataset",
        "constitution.ConstitutionDataset",
    )
}
ENTRIES["record.RecordDataset"]["model"] = "leagents_kedro.records.Selection"


def entry(name, filepath):
    return DataCatalog.from_config({"entry": ENTRIES[name] | {"filepath": filepath}})["entry"]


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_lies_on_this_machine(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    plain, address = (entry(name, f"{prefix}{tmp_path}/a")._describe()["filepath"] for prefix in ("", "file://"))
    assert plain == address
    for filepath in ("s3://bucket/place", "memory://place", "https://host/place", "hf://datasets/a/place"):
        protocol = filepath.partition("://")[0]
        with pytest.raises(
            KedroDatasetError, match=rf"{filepath}: expected a path on this machine, .*got {protocol}://"
        ):
            entry(name, filepath)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("filepath", "message"),
    [
        ("file://host/place", "three slashes"),
        ("git+ssh://host/place", "expected a path"),
        ("/home/~/place", "got '~'"),
        ("/srv/$HOME/place", r"got '\$HOME'.*oc\.env"),
    ],
)
def test_what_would_become_a_folder_of_an_odd_name_is_refused(filepath, message):
    with pytest.raises(KedroDatasetError, match=message):
        entry("folder.FolderDataset", filepath)
