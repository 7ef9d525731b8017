"""Kedro projects in folders of their own, and commands that run in forks of the test process.

Forks inherit what is imported here: without, each command would import Kedro's plug-ins and pandas anew.
"""

import gc
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd  # noqa: F401 - as the others unused here
from kedro.framework.cli.utils import load_entry_points

import leagents_kedro.cli
import leagents_kedro.settings  # noqa: F401
from support.parameters import ROOT

for group in ("project", "global", "hooks", "cli_hooks"):
    load_entry_points(group)


@dataclass(frozen=True)
class Ended:
    """How a fork ended: its exit code, or minus the signal that ended it, and what it printed."""

    code: int
    output: str


def copy_project(folder: Path, parameters: str = "", *, with_code: bool = False) -> Path:
    """Put the project's own configuration into ``folder``, with ``parameters`` over it in ``conf/local``."""
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    (folder / "conf" / "local").mkdir()
    (folder / "conf" / "local" / "parameters.yml").write_text(parameters)
    shutil.copy(ROOT / "pyproject.toml", folder)
    if with_code:
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    else:
        (folder / "src").mkdir()
    return folder


def kedro(*arguments: str) -> Callable[[], None]:
    """Return a function that runs a command of Kedro in the project of the working directory."""

    def command() -> None:
        from kedro.framework.cli.cli import main

        sys.argv = ["kedro", *arguments]
        main()

    return command


def forked(function: Callable[[], None], folder: Path, **environ: str) -> Ended:
    """Run ``function`` in a child process in the project ``folder``; it may be killed."""
    log = folder.parent / "output.txt"
    gc.freeze()  # a fork's collector would otherwise touch, and so copy, all that the test process holds
    child = os.fork()
    if child == 0:
        _become(function, folder, log, environ)
    gc.unfreeze()
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), log.read_text())


def _become(function: Callable[[], None], folder: Path, log: Path, environ: dict[str, str]) -> None:
    code = 1
    try:
        from kedro.framework.project import LOGGING

        os.chdir(folder)
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
