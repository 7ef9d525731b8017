"""One row of the benchmark table: two ways to do the same work, measured side by side in one run."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Row:
    """``ratio`` compares ``ours`` with ``other``; ``limit`` is what it must keep, None where it only informs."""

    step: str
    measured: str
    ours: str
    other: str
    ratio: float
    sense: Literal["<=", ">="] = "<="
    limit: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        if self.limit is None:
            return True
        return self.ratio <= self.limit if self.sense == "<=" else self.ratio >= self.limit


def alternated(ways: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Return the median seconds of each way, measured in turns so that a noisy moment hits all of them."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for way, measured in zip(ways, times, strict=True):
            gc.collect()
            start = time.perf_counter()
            way()
            measured.append(time.perf_counter() - start)
    return [statistics.median(measured) for measured in times]
