"""The real loop in a copy of the project, watched from outside while it runs."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import yaml

from leagents_kedro.foundation.files import write_atomically

ROOT = Path(__file__).parents[1]
ENVIRON = os.environ | {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
ENVIRON.pop("PYTHONDONTWRITEBYTECODE", None)  # where it is set, each start compiles libraries: who starts often loses
_POLL_S = 0.05


class BenchmarkError(Exception):
    """A measurement did not come about, or compared different work."""


def call(command: list[str]) -> str:
    """Run ``command`` in the project and return its output.

    Raises:
        BenchmarkError: It failed.
    """
    completed = subprocess.run(
        command, cwd=ROOT, env=ENVIRON, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=STDOUT, text=True, check=False
    )
    if completed.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{completed.stdout[-3000:]}")
    return completed.stdout


def base_parameters(name: str) -> dict[str, Any]:
    """Return the project's own parameters of a stage."""
    return yaml.safe_load((ROOT / f"conf/base/parameters_{name}.yml").read_text())[name]


def copy_project(folder: Path, parameters: dict[str, Any]) -> Path:
    """Copy the project into ``folder``, with ``parameters`` over its own."""
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "conf" / "local").mkdir()
    set_parameters(folder, parameters)
    return folder


def set_parameters(project: Path, parameters: dict[str, Any]) -> None:
    """Let the next cycle that is opened, of a running loop too, have ``parameters`` over the project's own."""
    write_atomically(project / "conf" / "local" / "parameters.yml", yaml.safe_dump(parameters).encode())


def run_pipeline(
    project: Path, pipeline: str, on_row: Callable[[int, dict[str, Any]], None] = lambda pid, row: None
) -> datetime:
    """Run ``pipeline`` in a process of its own and return when it was started; ``on_row`` sees new rows of the ledger.

    Raises:
        BenchmarkError: The run failed.
    """
    command = [sys.executable, "-m", "kedro", "run", f"--pipelines={pipeline}"]
    environ = ENVIRON | {"PYTHONPATH": f"{project / 'src'}{os.pathsep}{ROOT}"}
    output = project / f"{pipeline}.log"
    _, seen = _rows_after(project, 0)
    with output.open("w") as log:
        started = datetime.now().astimezone()
        process = subprocess.Popen(command, cwd=project, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            running = True
            while running:
                running = process.poll() is None
                rows, seen = _rows_after(project, seen)
                for row in rows:
                    on_row(process.pid, row)
                time.sleep(_POLL_S)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise BenchmarkError(f"kedro run --pipelines={pipeline} failed:\n{output.read_text()[-3000:]}")
    return started


def ledger_rows(project: Path) -> list[dict[str, Any]]:
    """Return the ledger's complete rows."""
    rows, _ = _rows_after(project, 0)
    return rows


def _rows_after(project: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Return the complete rows of the ledger from a byte on, and the byte after them."""
    ledger = project / "data" / "ledger.jsonl"
    if not ledger.exists():
        return [], offset
    with ledger.open("rb") as file:
        file.seek(offset)
        lines = [line for line in file if line.endswith(b"\n")]
    return [json.loads(line) for line in lines], offset + sum(map(len, lines))


def closed_rows(project: Path) -> list[dict[str, Any]]:
    """Return the ledger's rows of closed cycles."""
    return [row for row in ledger_rows(project) if row["event"] == "closed"]


def seconds_between_cycles(project: Path) -> list[float]:
    """Return what each cycle after the first took, from the end of the one before to its own."""
    ends = [datetime.fromisoformat(row["at"]) for row in closed_rows(project)]
    return [(end - before).total_seconds() for before, end in pairwise(ends)]
