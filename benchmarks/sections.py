"""The sections of the benchmarks, measured one after another, each in a process of its own."""

import importlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.report import Report
from benchmarks.table import Row
from leagents_kedro.foundation.progress import progress_bar


@dataclass(frozen=True)
class Section:
    """Where the rows of a section come from, and about how long they take."""

    module: str
    function: str
    seconds: int
    quick_seconds: int

    def rows(self, quick: bool) -> list[Row]:
        """Measure."""
        measure: Callable[[bool], list[Row]] = getattr(importlib.import_module(self.module), self.function)
        return measure(quick)


SECTIONS = {
    "loader": Section("benchmarks.training", "loader", 60, 25),
    "step": Section("benchmarks.training", "step", 60, 25),
    "beside": Section("benchmarks.training", "beside", 150, 35),
    "evaluation": Section("benchmarks.evaluation", "rows", 120, 50),
    "generation": Section("benchmarks.learning", "generation", 150, 20),
    "learning": Section("benchmarks.learning", "learning", 2200, 60),
    "mix": Section("benchmarks.mix", "rows", 60, 35),
    "start": Section("benchmarks.process", "start", 60, 20),
    "loop": Section("benchmarks.process", "loop", 60, 30),
    "growth": Section("benchmarks.process", "growth", 240, 40),
    "cycle": Section("benchmarks.cycle", "rows", 1600, 75),
}


def measure(names: Iterable[str], quick: bool) -> Report:
    """Measure sections one after another, each in a process of its own, so that none warms or fills that of the next.

    A section that fails does not stop the others.
    """
    report = Report(quick, {}, {})
    expected = {name: SECTIONS[name].quick_seconds if quick else SECTIONS[name].seconds for name in names}
    done = 0
    with progress_bar("benchmarks", sum(expected.values()), "s") as show:
        for name, seconds in expected.items():
            with ProcessPoolExecutor(1, get_context("spawn"), _quietly) as process:
                future = process.submit(SECTIONS[name].rows, quick)
                started = time.monotonic()
                while wait([future], timeout=1).not_done:
                    show(done + min(seconds, int(time.monotonic() - started)), name)
            done += seconds
            if error := future.exception():
                report.failures[name] = f"{type(error).__name__}: {error}"
            else:
                report.sections[name] = future.result()
    return report


def _quietly() -> None:
    """Leave the terminal to the table: no word of libraries, and of video encoders, unless it is an error."""
    logging.disable(logging.WARNING)
    os.environ["SVT_LOG"] = "1"
