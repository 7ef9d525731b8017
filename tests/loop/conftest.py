import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: F401 - as the others unused here: imported once, for the forks that run commands
import pytest
from kedro.framework.cli.cli import main
from kedro.framework.cli.utils import load_entry_points
from kedro.framework.project import LOGGING

import leagents_kedro.cli
import leagents_kedro.settings  # noqa: F401

load_entry_points("project")


@dataclass(frozen=True)
class Ended:
    code: int
    output: str


@dataclass(frozen=True)
class Project:
    """A real Kedro project, whose commands run in forks of the test process: each may be killed."""

    path: Path

    def kedro(self, *arguments: str, **environ: str) -> Ended:
        def command() -> None:
            sys.argv = ["kedro", *arguments]
            main()

        return self.fork(command, **environ)

    def fork(self, function: Callable[[], None], **environ: str) -> Ended:
        """Run ``function`` in a child process in the project; the code is minus the signal that killed it."""
        log = self.path.parent / "output.txt"
        child = os.fork()
        if child == 0:
            self._become(function, log, environ)
        _, status = os.waitpid(child, 0)
        return Ended(os.waitstatus_to_exitcode(status), log.read_text())

    def _become(self, function: Callable[[], None], log: Path, environ: dict[str, str]) -> None:
        code = 1
        try:
            os.chdir(self.path)
            os.environ.pop("KEDRO_ENV", None)
            os.environ.update(environ, DO_NOT_TRACK="1")
            sys.stdout = sys.stderr = log.open("w", buffering=1)
            os.dup2(sys.stdout.fileno(), 1)
            os.dup2(sys.stdout.fileno(), 2)
            type(LOGGING).__init__(LOGGING)  # reads conf/logging.yml of the working directory
            function()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}")
        finally:
            sys.stdout.flush()
            os._exit(code)

    def configure(self, parameters: str) -> None:
        (self.path / "conf/local/parameters.yml").write_text(parameters)

    @property
    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.path / "data/ledger.jsonl").read_text().splitlines()]

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
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    def make() -> Project:
        path = tmp_path_factory.mktemp("loop") / "project"
        return Project(Path(shutil.copytree(Path(__file__).parent / "project", path)))

    return make


@pytest.fixture
def project(make_project: Callable[[], Project]) -> Project:
    return make_project()
