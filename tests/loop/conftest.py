import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.projects import Ended, forked, run


@dataclass(frozen=True)
class Project:
    """A real Kedro project, whose commands run in forks of the test process: each may be killed."""

    path: Path

    def kedro(self, *arguments: str, **environ: str) -> Ended:
        return run(self.path, *arguments, **environ)

    def fork(self, function: Callable[[], None], **environ: str) -> Ended:
        """Run ``function`` in a child process in the project; it may be killed."""
        return forked(function, self.path, **environ)

    def configure(self, parameters: str) -> None:
        (self.path / "conf/local/parameters.yml").write_text(parameters)

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """The ledger without the row of the seed."""
        rows = map(json.loads, (self.path / "data/ledger.jsonl").read_text().splitlines())
        return [row for row in rows if row["event"] != "seed"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The ledger without what attempts cost that did not close their cycle."""
        return [row for row in self.ledger if row["event"] not in {"charged", "resumed"}]

    @property
    def story(self) -> str:
        """The ledger without times, and with versions numbered as they first appear."""
        rows = [
            {key: value for key, value in row.items() if key not in {"at", "seconds", "device_seconds"}}
            for row in self.rows
        ]
        text = "\n".join(map(json.dumps, rows))
        for number, version in enumerate(sorted(set(re.findall(r"\d{4}-\d\d-\d\dT[\d.]+Z", text)))):
            text = text.replace(version, f"version {number}")
        return text

    def versions(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.path / "data" / name).iterdir())

    @property
    def trainings(self) -> list[str]:
        return (self.path / "data/trainings").read_text().split()


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Give a fresh project, or a copy of one that ran already, which stays as it is."""

    def make(source: Project = Project(Path(__file__).parent / "project")) -> Project:
        path = tmp_path_factory.mktemp("loop") / "project"
        return Project(Path(shutil.copytree(source.path, path)))

    return make


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project()
