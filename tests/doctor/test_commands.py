"""A command that the doctor prints mends a copy when it is typed as it is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.foundation.findings import Finding
from support.damage import Damage, frames, more, number, said, statistics, torn, without
from support.datasets import as_v21


def older(root: Path) -> None:
    as_v21(root.rename(root.with_name("source")), root)


def not_a_number(root: Path) -> None:
    """LeRobot's recorder does not mind, and its statistics are none then."""
    frames("action", number(40, 1, float("nan")))(root)
    statistics(lambda s: s["action"].update(mean=[0, float("nan")]))(root)


def repeated(root: Path) -> None:
    from lerobot.datasets.aggregate import aggregate_datasets

    source = root.rename(root.with_name("source"))
    aggregate_datasets(["local/a"] * 2, "local/b", roots=[source] * 2, aggr_root=root)


def linked_elsewhere(root: Path) -> None:
    (file,) = root.glob("data/*/*")
    (root / "data" / "chunk-000" / file.name).rename(elsewhere := root.with_name("elsewhere.parquet"))
    file.symlink_to(elsewhere)


FAULTS: dict[str, tuple[Damage, str]] = {
    "older": (older, "codebase_version should be v3.0"),
    "linked elsewhere": (linked_elsewhere, "links to a place outside of the data set"),
    "no statistics": (without("meta/stats.json"), "but is missing"),
    "torn statistics": (torn("meta/stats.json"), "is not readable"),
    "infinite": (statistics(lambda s: s["action"].update(max=[1e999, 1])), "should be finite"),
    "other mean": (statistics(lambda s: s["action"].update(mean=[9, 0])), "of 'action' should be those of"),
    "no quantiles": (statistics(lambda s: s["action"].pop("q01")), "lacks the quantiles"),
    "speechless": (said(" "), "every task should have a sentence"),
    "another sentence": (said("Open Ann's door"), "has none; it says"),
    "a sentence twice": (said("pick up the cup"), "each sentence once"),
    "two spellings": (said("Pick up the cup!"), "differ in case, spaces, or marks"),
    "not a number": (not_a_number, "statistics of 'action' should be finite"),
    "not a number in a frame": (frames("action", number(40, 1, float("nan"))), "'action' should be finite, 1 frames"),
    "more to see": (more("observation.force", "float32"), "does not give 'observation.force'"),
    "twice": (repeated, "the same numbers as an earlier episode"),
}


def contents(root: Path) -> dict[Path, bytes]:
    return {file.relative_to(root): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def typed(command: str, folder: Path) -> None:
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "what"), FAULTS.values(), ids=FAULTS)
def test_the_finding_is_gone_from_the_copy_and_the_dataset_is_as_it_was(sound, copied, needs, damage, what):
    def faults(root: Path) -> list[Finding]:
        return [finding for finding in examine_dataset(root, needs) if what in finding.what]

    root = copied(sound)
    root = root.rename(root.with_name("Ann's set"))
    damage(root)
    (fault,) = faults(root)
    before = contents(root)
    typed(fault.command, root.parent)
    assert contents(root) == before
    assert faults(root.with_name(f"{root.name}_fixed")) == []
