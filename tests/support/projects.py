"""Kedro projects in folders of their own, and commands that run in forks.

Forks inherit what is imported here: without, each command would import Kedro's plug-ins and pandas anew.
"""

import gc
import importlib.metadata
import inspect
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd  # noqa: F401 - as the others unused here
from kedro.framework.cli.utils import load_entry_points

import leagents_kedro.cli
import leagents_kedro.settings  # noqa: F401
from support.parameters import ROOT

# Commands look for plug-ins three times, in the same files each time.
importlib.metadata.entry_points = cache(importlib.metadata.entry_points)
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

        signal.alarm(300)  # a loop that is not stopped would train for long
        sys.argv = ["kedro", *arguments]
        main()

    return command


def prepare(*modules: str) -> None:
    """Import modules once where commands are forked, not in each command."""
    _COMMANDS.send(modules)
    _COMMANDS.recv()


def run(folder: Path, *arguments: str, **environ: str) -> Ended:
    """Run a command of Kedro in the project ``folder``, in a fork of a process without the tests' imports."""
    _COMMANDS.send((arguments, folder, os.environ | environ))
    ended: Ended = _COMMANDS.recv()
    return ended


def forked(function: Callable[[], None], folder: Path, **environ: str) -> Ended:
    """Run ``function`` in a child process in the project ``folder``; it may be killed."""
    log = folder.parent / "output.txt"
    inspect.stack()  # fills inspect's table of modules, which Kedro's settings would build anew in each fork
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


def _server() -> Connection:
    """Start a process that forks commands: a fork of this one, before the tests' imports make forks slow."""
    ours, theirs = Pipe()
    if os.fork():
        theirs.close()
        return ours
    ours.close()
    try:
        while True:
            match theirs.recv():
                case (tuple() as arguments, folder, environ):
                    theirs.send(forked(kedro(*arguments), folder, **environ))
                case modules:
                    theirs.send([import_module(module).__name__ for module in modules])
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        os._exit(0)


_COMMANDS = _server()
