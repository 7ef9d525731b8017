import pytest
from kedro.io import DataCatalog
from kedro.io import DatasetError as KedroDatasetError

from leagents_kedro.datasets.page import PageDataset


def catalog(path, version=None):
    config = {"page": {"type": PageDataset, "filepath": str(path / "experiments")}}
    return DataCatalog.from_config(config, save_version=version)


def test_pages_of_all_versions_lie_in_one_folder(tmp_path):
    versions = ["2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"]
    for version in versions:
        catalog(tmp_path, version).save("page", f"# {version}")
    assert sorted(path.name for path in (tmp_path / "experiments").iterdir()) == [f"{name}.md" for name in versions]
    for name in ("README.md", "notes.md", "ideas.txt"):
        (tmp_path / "experiments" / name).write_text("mine")
    assert catalog(tmp_path)["page"].list_versions(full_path=False) == versions[::-1]
    assert catalog(tmp_path).load("page") == catalog(tmp_path)["page"].preview() == f"# {versions[1]}"
    assert catalog(tmp_path).load("page", version=versions[0]) == f"# {versions[0]}"


def test_no_page_yet(tmp_path):
    assert not catalog(tmp_path)["page"].exists()
    with pytest.raises(KedroDatasetError, match="No version"):
        catalog(tmp_path).load("page")


def test_a_version_cannot_leave_the_folder(tmp_path):
    with pytest.raises(KedroDatasetError, match="not allowed"):
        catalog(tmp_path, "../escape").save("page", "text")
