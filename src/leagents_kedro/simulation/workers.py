"""Worker processes that run episodes; started once, they serve every request until this process ends.

They are forked from a server that has imported torch, LeRobot, and MetaWorld and run nothing of them. An error in a
worker is raised here. The episodes that a worker crashed or hung on are tried once more, each by itself.
"""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from math import ceil
from multiprocessing import current_process, forkserver, get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from leagents_kedro.errors import LeAgentsError, SimulationError
from leagents_kedro.records import Suite
from leagents_kedro.simulation import fork_server
from leagents_kedro.simulation.station import (
    ExpertRequest,
    FramesRequest,
    PolicyRequest,
    Progress,
    Station,
    SuiteRequest,
)

logger = logging.getLogger(__name__)

type TrialsRequest = PolicyRequest | ExpertRequest | FramesRequest
type Request = TrialsRequest | SuiteRequest

_LARGEST_PORTION = 16
_DRIVER_BYTES = 2 * 10**9  # of the process that trains, and of the server that workers are forked from
_WORKER_BYTES = 3 * 10**8  # measured, as the next one: of its own, beside what it shares with that server
_TASK_BYTES = 10**7  # of a task's scene, which each worker keeps
_RUNS_ITSELF = 77  # the exit code of a worker that would run the script anew which started it
_context = get_context("forkserver")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_memory() -> int:
    """Return how many bytes this process and its children may use: those of the machine, or fewer in a container."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # there is no such file, or it says "max"
            limits.append(int(Path(file).read_text()))
    return min(limits)


def affordable(cores: int, memory: int, tasks: int) -> int:
    """Return how many workers ``cores`` and ``memory`` (bytes) allow, each with environments of as many ``tasks``.

    >>> affordable(cores=64, memory=32 * 10**9, tasks=50), affordable(cores=2, memory=32 * 10**9, tasks=50)
    (37, 2)
    """
    return max(1, min(cores, (memory - _DRIVER_BYTES) // (_WORKER_BYTES + tasks * _TASK_BYTES)))


@cache
def usual_number(tasks: int) -> int:
    """Return how many workers there are where nobody says it; that memory allows fewer than cores is logged."""
    cores, memory = usable_cores(), usable_memory()
    number = affordable(cores, memory, tasks)
    if number < cores:
        logger.info("%d workers for %d cores: %.1f GB of memory allow no more", number, cores, memory / 10**9)
    return number


def warm_up(environment: str) -> None:
    """Start the server that workers are forked from, if there is none; returns before its imports are done.

    It is made ready for one ``environment``; workers forked from it import what another one needs.
    """
    _leave_where_main_is_imported()
    main_is_script = sys.modules["__main__"].__spec__ is None  # such as `kedro`, which every child then imports, too
    _context.set_forkserver_preload([fork_server.__name__, *["kedro.framework.cli"] * main_is_script])
    os.environ[fork_server.PREPARED_ENVIRONMENT] = environment
    try:
        forkserver.ensure_running()
    finally:
        del os.environ[fork_server.PREPARED_ENVIRONMENT]


def _leave_where_main_is_imported() -> None:
    """End a worker whose import of the main script comes here: it has no main guard, and starts workers of its own."""
    if getattr(current_process(), "_inheriting", False):  # by which multiprocessing knows it, too
        os._exit(_RUNS_ITSELF)


def distribute(
    request: TrialsRequest, processes: int, episode_timeout_s: float | None, progress: Progress | None
) -> list[Any]:
    """Return one rollout, or scene, a trial of ``request``, in their order, run by as many ``processes``.

    They are given portions of the trials. A worker may take ``episode_timeout_s`` for each episode of its portion.

    Raises:
        LeAgentsError: What the request raised in a worker.
        SimulationError: An episode crashed or hung its worker, also when it was tried again.
    """
    rollouts: dict[int, Any] = {}
    waiting = deque(_portions(len(request.trials), processes))
    busy: dict[object, tuple[_Worker, range]] = {}
    suspects: set[int] = set()
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                worker, portion = _worker(request.environment), waiting.popleft()
                busy[worker.connection] = worker, portion
                limit_s = episode_timeout_s and episode_timeout_s * len(portion)
                worker.assign(replace(request, trials=request.trials[portion.start : portion.stop]), limit_s)
            for connection in wait([worker.connection for worker, _ in busy.values()]):
                worker, portion = busy.pop(connection)
                answer = worker.answer()
                if answer is None:
                    _suspect(request, portion, suspects, worker.end())
                    waiting.extendleft(range(position, position + 1) for position in reversed(portion))
                    continue
                _idle.append(worker)
                if isinstance(answer, LeAgentsError):
                    raise answer
                rollouts.update(zip(portion, answer, strict=True))
                if progress:
                    progress(len(rollouts), sum(outcome.success for outcome, _ in rollouts.values()))
    finally:
        for worker, _ in busy.values():
            worker.end()
    return [rollouts[position] for position in range(len(request.trials))]


def ask(request: SuiteRequest, limit_s: float | None) -> Suite:
    """Return the answer of one worker to ``request``, which may take ``limit_s``.

    Raises:
        LeAgentsError: What the request raised in the worker.
        SimulationError: The worker crashed or hung.
    """
    worker = _worker(request.environment)
    try:
        worker.assign(request, limit_s)
        answer = worker.answer()
    except BaseException:  # Ctrl-C: nobody waits for the answer any more
        worker.end()
        raise
    if answer is None:
        raise SimulationError(
            f"the process that made environment {request.environment} {worker.end()}; does the environment crash or "
            "hang? evaluation.episode_timeout_s is the limit"
        )
    _idle.append(worker)
    if isinstance(answer, LeAgentsError):
        raise answer
    return answer


class _Worker:
    """A process that answers one portion at a time: with its rollouts, or with what they raised."""

    def __init__(self, environment: str) -> None:
        _leave_where_main_is_imported()
        warm_up(environment)
        self.connection, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def assign(self, portion: Request, limit_s: float | None) -> None:
        self._limit_s, self._started = limit_s, time.monotonic()
        with suppress(OSError):  # where the process is gone, its answer is missing
            self.connection.send((portion, limit_s))

    def answer(self) -> Any:
        """Return the answer, or None where the process ended before it gave one."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """End the process if it runs, and say how it ended.

        Raises:
            SimulationError: It ended since the main script has no main guard.
        """
        self.connection.close()
        self._process.kill()
        self._process.join()
        if self._limit_s and time.monotonic() - self._started >= self._limit_s:
            return f"took longer than {self._limit_s:g} s"
        code = self._process.exitcode or 0
        if code == _RUNS_ITSELF:
            raise SimulationError(
                f"{sys.modules['__main__'].__file__}: every worker process imports this script, which then starts the "
                'run anew. Put what it runs below `if __name__ == "__main__":`, or set evaluation.workers to 1.'
            )
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"


_idle: list[_Worker] = []


def _worker(environment: str) -> _Worker:
    return _idle.pop() if _idle else _Worker(environment)


def _forget() -> None:
    """Leave workers and their server to the process that started them: a fork of it needs its own."""
    _idle.clear()
    type(forkserver._forkserver).__init__(forkserver._forkserver)


os.register_at_fork(after_in_child=_forget)


def _portions(trials: int, processes: int) -> Iterator[range]:
    """Yield consecutive positions of trials, ever fewer at a time, so that all processes end together.

    Guided self-scheduling: Polychronopoulos and Kuck, doi:10.1109/TC.1987.5009495.
    """
    start = 0
    while start < trials:
        stop = start + min(ceil((trials - start) / (2 * processes - 1)), _LARGEST_PORTION)
        yield range(start, stop)
        start = stop


def _suspect(request: TrialsRequest, portion: range, suspects: set[int], end: str) -> None:
    """Note that the process of ``portion`` ended before its answer.

    Raises:
        SimulationError: That happened to this episode when it was tried by itself.
    """
    trial = request.trials[portion.start]
    if portion.start in suspects:
        raise SimulationError(
            f"task {trial.task}, seed {trial.seed}: the process that ran this episode {end}, and so did one before it; "
            "does the environment or the policy crash or hang there? evaluation.episode_timeout_s is the limit"
        )
    logger.warning("A process that ran %d episodes %s; each of them is tried again", len(portion), end)
    suspects.update(portion)


def _serve(connection: Connection) -> None:
    """Answer portions until the process that sends them is gone, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; that one decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    faulthandler.enable()
    station = Station()
    with suppress(EOFError, ConnectionError):
        while True:
            portion, limit_s = connection.recv()
            if limit_s:
                faulthandler.dump_traceback_later(limit_s, exit=True)
            connection.send(_answer(portion, station))
            faulthandler.cancel_dump_traceback_later()


def _answer(portion: Request, station: Station) -> Any:
    try:
        return portion.run(station)
    except Exception as error:
        named = error if isinstance(error, LeAgentsError) else SimulationError(f"a worker failed: {error!r}")
        named.add_note(traceback.format_exc())
        return named


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
