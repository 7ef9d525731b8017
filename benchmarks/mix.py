"""What the mix costs as it grows: appending to it, and choosing from it."""

import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.table import Row, alternated
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.selection import select_episodes
from leagents_kedro.episodes.shards import Episode, EpisodeIndex, Shards
from leagents_kedro.episodes.writing import append_datasets, write_episodes

FRAMES = 68
TASKS = tuple(f"Task {number} of the suite" for number in range(50))
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (39,), "names": None},
    "action": {"dtype": "float32", "shape": (4,), "names": None},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "next.success": {"dtype": "bool", "shape": (1,), "names": None},
}
"""A mean episode of the default suite, as to frames and features."""

MILLION = 1_000_000
MAX_SECONDS, MAX_MB = 0.1, 500


def rows(quick: bool) -> list[Row]:
    """Measure appending 20 episodes, and choosing from a million; without ``quick`` also a mix of 10,000."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_append_rows(Path(folder), quick), *_selection_rows(Path(folder), quick)]


def peak_of_selection(root: Path) -> float:
    """Return the peak memory of this process, in MB, after choosing all episodes of the dataset in ``root``."""
    shards = Shards(root)
    select_episodes(shards.index, shards.tasks, shards.tasks, None)
    assert "torch" not in sys.modules, "nothing of this needs torch"
    status = Path("/proc/self/status")
    if status.exists():  # Linux lets a child start with its parent's ru_maxrss.
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _append_rows(folder: Path, quick: bool) -> Iterator[Row]:
    from lerobot.datasets.dataset_tools import merge_datasets

    sizes = (100, 1_000) if quick else (100, 1_000, 10_000)
    mixes = [_write(folder / f"mix_{size}", size) for size in sizes]
    addition = _write(folder / "addition", 20)
    targets = [folder / f"grown_{size}" for size in sizes]

    def append(mix: Shards, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        append_datasets(mix, [addition], target)

    small, *larger = alternated([partial(append, *pair) for pair in zip(mixes, targets, strict=True)], 9)
    new = [_new_bytes(target) for target in targets]
    for size, seconds, grown in zip(sizes[1:], larger, new[1:], strict=True):
        measured = f"20 episodes to {size:,}; to 100"
        yield Row("append", measured, f"{seconds * 1e3:.0f} ms", f"{small * 1e3:.0f} ms", seconds / small, "<=", 1.5)
        yield Row(
            "append, disk", measured, f"{grown / 1e3:.0f} kB", f"{new[0] / 1e3:.0f} kB", grown / new[0], "<=", 1.5
        )

    mix, target = mixes[1], folder / "merged"
    sources = [opened(mix), opened(addition)]

    def merge() -> None:
        shutil.rmtree(target, ignore_errors=True)
        merge_datasets(sources, "local/merged", output_dir=target)

    ours, theirs = alternated([lambda: append(mix, targets[1]), merge], 1 if quick else 3)
    yield Row(
        "append", "20 episodes to 1,000; merge_datasets", f"{ours * 1e3:.0f} ms", f"{theirs:.2f} s", theirs / ours, ">="
    )


def _selection_rows(folder: Path, quick: bool) -> Iterator[Row]:
    shards = _describe_a_million(folder / "million")
    index = shards.index
    seconds = _processor_seconds(index, shards.tasks)
    measured = "all of 1,000,000 episodes, 50 tasks"
    yield Row(
        "selection",
        f"{measured}, CPU time",
        f"{seconds * 1e3:.0f} ms",
        f"{MAX_SECONDS * 1e3:.0f} ms",
        seconds / MAX_SECONDS,
        "<=",
        1.0,
    )
    code = (
        f"from pathlib import Path; from benchmarks.mix import *; print(peak_of_selection(Path({str(shards.root)!r})))"
    )
    peak = float(
        subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True
        ).stdout
    )
    yield Row(
        "selection, memory", f"{measured}, index read", f"{peak:.0f} MB", f"{MAX_MB} MB", peak / MAX_MB, "<=", 1.0
    )
    yield _row_by_row(shards, 100_000 if quick else MILLION)


def _processor_seconds(index: EpisodeIndex, tasks: tuple[str, ...]) -> float:
    """Return the CPU time of a selection, which other processes on the machine lengthen less than they do seconds."""
    times = []
    for _ in range(9):
        start = time.process_time()
        select_episodes(index, tasks, tasks, None)
        times.append(time.process_time() - start)
    return statistics.median(times)


def _row_by_row(shards: Shards, episodes: int) -> Row:
    """Compare with a loop over the rows of ``meta.episodes``, as LeRobot gives them."""
    from datasets import Dataset

    described = Dataset(shards.episode_table(["episode_index", "tasks"]).slice(0, episodes))
    index = shards.index
    first = EpisodeIndex(*(column[:episodes] for column in vars(index).values()))

    def loop() -> None:
        found: dict[str, list[int]] = {}
        for episode in described:
            found.setdefault(episode["tasks"][0], []).append(episode["episode_index"])

    ours, theirs = alternated([lambda: select_episodes(first, shards.tasks, shards.tasks, None), loop], 1)
    measured = f"all of {episodes:,} episodes; row by row"
    return Row("selection", measured, f"{ours * 1e3:.1f} ms", f"{theirs:.1f} s", theirs / ours, ">=")


def _write(root: Path, episodes: int) -> Shards:
    rng = np.random.default_rng(episodes)

    def episode(number: int) -> Episode:
        state, action, reward = (rng.normal(size=(FRAMES, size)).astype(np.float32) for size in (39, 4, 1))
        success = np.arange(FRAMES).reshape(-1, 1) == FRAMES - 1
        return Episode(TASKS[number % 5], dict(zip(FEATURES, (state, action, reward, success), strict=True)))

    write_episodes(root, [episode(number) for number in range(episodes)], FEATURES, 80, "metaworld_state")
    return Shards(root)


def _new_bytes(root: Path) -> int:
    """Return what the files of ``root`` take that no other version shares."""
    stats = [file.stat() for file in root.rglob("*") if file.is_file()]
    return sum(stat.st_blocks * 512 for stat in stats if stat.st_nlink == 1)


def _describe_a_million(root: Path) -> Shards:
    """Write what a selection reads of a dataset of a million episodes, in 20 files."""
    episodes = root / "meta" / "episodes" / "chunk-000"
    episodes.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for file, episode in enumerate(np.split(np.arange(MILLION), 20)):
        task = rng.integers(0, len(TASKS), len(episode))
        table = {
            "episode_index": episode,
            "tasks": pa.ListArray.from_arrays(np.arange(len(episode) + 1), pa.array(TASKS).take(task)),
            "length": np.full_like(episode, FRAMES),
            "data/chunk_index": np.zeros_like(episode),
            "data/file_index": np.full_like(episode, file),
            "dataset_from_index": episode * FRAMES,
            "dataset_to_index": (episode + 1) * FRAMES,
        }
        pq.write_table(pa.table(table), episodes / f"file-{file:03d}.parquet")
    pq.write_table(pa.table({"task_index": range(len(TASKS)), "task": TASKS}), root / "meta" / "tasks.parquet")
    return Shards(root)
