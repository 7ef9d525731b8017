"""Runs Kedro commands in forks of a process that has imported everything, and kills them where it is told to.

A request is a line of JSON on stdin, its answer one on the descriptor that the command line names. The fork counts
what it does (*events*: hook calls, changes of files, training steps, blocks of evaluation) into a journal, and ends
itself at the event that the request names.
"""

import importlib
import json
import os
import signal
import stat
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from kedro.framework.cli.cli import main
from kedro.framework.cli.utils import load_entry_points
from kedro.framework.hooks import hook_impl
from kedro.framework.project import LOGGING

import leagents_kedro.cli
import leagents_kedro.settings
from leagents_kedro.pipelines.evaluation.measurement import Measurement
from leagents_kedro.policies import training

# What a cycle imports by and by: forks inherit it. None of it starts threads of torch, which forks could not use.
for module in (
    "datasets",
    "lerobot.common.train_utils",
    "lerobot.datasets.lerobot_dataset",
    "lerobot.envs.factory",
    "lerobot.envs.utils",
    "lerobot.optim.factory",
    "lerobot.policies.factory",
    "metaworld",
    "mujoco",
    "pandas",
    "scipy.optimize",
    "scipy.stats",
):
    importlib.import_module(module)
load_entry_points("project")
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # jemalloc's own, idle

HOOKS = (
    "after_context_created",
    "after_catalog_created",
    "before_pipeline_run",
    "after_pipeline_run",
    "before_node_run",
    "after_node_run",
    "before_dataset_loaded",
    "after_dataset_loaded",
    "before_dataset_saved",
    "after_dataset_saved",
    "repeat_run",
    "before_cycle_opened",
)
CHANGES = {  # audit events that change a folder, and where their arguments have the descriptor of a folder
    "os.rename": ("rename", 2),
    "os.remove": ("unlink", 1),
    "os.link": ("link", 2),
    "os.mkdir": ("mkdir", 2),
    "os.rmdir": ("rmdir", 1),
}
SIGNALS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "STOP": signal.SIGSTOP}
PATIENCE_S = 10.0


class Events:
    """Counts events into ``journal``; at number ``at`` it strikes."""

    def __init__(self, journal: Path, at: int, strike: str):
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._places = tuple(f"{Path.cwd() / name}/" for name in ("data", "knowledge"))
        self._at, self._strike, self._count = at, strike, 0

    def watch(self) -> None:
        """Count from now on, in this process."""
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self._synced(descriptor)
            sync(descriptor)

        os.fsync = fsync
        hooks = type("Hooks", (), {name: self._hook(name) for name in HOOKS})()
        leagents_kedro.settings.HOOKS = (*leagents_kedro.settings.HOOKS, hooks)
        training._batches = self._steps(training._batches)
        Measurement.outcomes = self._before(Measurement.outcomes, lambda _, trials, title: ("block", len(trials)))
        sys.addaudithook(self._audited)

    def happened(self, kind: str, what: Any, path: str = "") -> None:
        self._count += 1
        self._note(kind, what)
        if self._count == self._at:
            if self._strike == "TEAR":
                os.truncate(path, _whole_bytes(path))
            os.kill(os.getpid(), SIGNALS.get(self._strike, signal.SIGKILL))

    def _note(self, kind: str, what: Any) -> None:
        os.write(self._journal, json.dumps([kind, what]).encode() + b"\n")

    def _hook(self, name: str) -> Callable[..., None]:
        @hook_impl
        def implementation(plugin: object) -> None:
            self.happened("hook", name)

        return implementation

    def _steps(self, batches: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Count the steps of a training, not what is tried before a cycle is opened."""

        def counted(*args: Any) -> Iterator[Any]:
            for frames in batches(*args):
                self.happened("step", frames.tolist())
                yield frames

        return counted

    def _before(self, method: Callable[..., Any], described: Callable[..., tuple[str, Any]]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.happened(*described(*args))
            return method(*args)

        return call

    def _synced(self, descriptor: int) -> None:
        """Count new files, which a power cut could leave torn; other syncs change nothing that a kill could show."""
        path, status = _path(descriptor), os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size > 1:
            self.happened("write", path, path)
        self._note("sync", path)

    def _audited(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR) and not isinstance(args[0], int):
            self._changes("open", os.fsdecode(args[0]), -1)
        elif event in CHANGES:
            kind, position = CHANGES[event]
            if kind in ("rename", "link"):
                self._note("place", str(Path.cwd() / os.fsdecode(args[1])))
            self._changes(kind, os.fsdecode(args[0]), args[position])

    def _changes(self, kind: str, name: str, folder: int) -> None:
        path = str(Path(_path(folder) if folder >= 0 else Path.cwd(), name))
        if path.startswith(self._places) and not (kind == "mkdir" and Path(path).exists()):
            self.happened(kind, path)


def _path(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _whole_bytes(path: str) -> int:
    """Return how much of a file to leave: half of it, or all rows and half of the last one."""
    content = Path(path).read_bytes()
    start = content[:-1].rfind(b"\n") + 1 if path.endswith(".jsonl") else 0
    return (start + len(content)) // 2


def set_clock(ahead_s: float) -> None:
    """Let the run believe that it is so much later, or earlier."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=ahead_s)

    for module in ("kedro.io.core", "leagents_kedro.foundation.clock"):
        sys.modules[module].datetime = Clock


def become(request: dict[str, Any], log: Path) -> None:
    """Run the request's command in this process, and end it."""
    code = 1
    try:
        os.setsid()
        os.chdir(request["project"])
        os.environ.update(request["environ"])
        sys.stdout = sys.stderr = log.open("w", buffering=1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(sys.stdout.fileno(), 1)
        os.dup2(sys.stdout.fileno(), 2)
        type(LOGGING).__init__(LOGGING)  # reads conf/logging.yml of the working directory
        sys.argv = ["kedro", *request["arguments"]]
        set_clock(request["clock_s"])
        Events(Path(request["journal"]), request["at"], request["strike"]).watch()
        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Run the request in a fork; the code is minus the signal that ended it."""
    log = Path(request["journal"]).with_suffix(".log")
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        become(request, log)
    ends = started + (request["after_s"] if request["after_s"] is not None else request["limit_s"])
    while not (ended := os.waitpid(child, os.WNOHANG | os.WUNTRACED))[0]:
        if time.monotonic() >= ends:
            os.killpg(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    stopped = os.WIFSTOPPED(ended[1])
    return {
        "pid": child,
        "code": -os.WSTOPSIG(ended[1]) if stopped else os.waitstatus_to_exitcode(ended[1]),
        "seconds": time.monotonic() - started,
        "output": log.read_text() if log.exists() else "",
        "orphans": [] if stopped else _orphans(child),
    }


def _orphans(session: int) -> list[str]:
    """Return the commands of processes that outlive the ``session`` that they were started in, and end them."""
    ends = time.monotonic() + PATIENCE_S
    while (left := _members(session)) and time.monotonic() < ends:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return list(left.values())


def _members(session: int) -> dict[int, str]:
    members = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                members[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return members


if __name__ == "__main__":
    answers = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), file=answers)
