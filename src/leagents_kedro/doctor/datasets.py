"""The checks of a LeRobotDataset v3 folder. A new check is a function that yields findings, in `_FORM` or `_CONTENT`.

Checks of the form, most of them those of `leagents_kedro.episodes.checks`, read footers, counts, and the index; checks
of content read every number once (1,000 episodes a second or so), for datasets that the loop did not write itself.
"""

import io
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from leagents_kedro.episodes.checks import COPY, FORM, RECOMPUTE, REWRITE, differences_from
from leagents_kedro.episodes.columns import (
    Features,
    flat_names,
    is_depth_map,
    is_read,
    numeric_features,
    read_columns,
    read_table,
    recorded_features,
    schema_of,
    taken_over,
    visual_features,
)
from leagents_kedro.episodes.commands import delete_command, recompute_command, remove_command, rename_command
from leagents_kedro.episodes.digests import computed_digests, kept_digests
from leagents_kedro.episodes.format import MOMENTS, QUANTILES, TIME_TOLERANCE_S, VIDEO_PATH, time_tolerance_s
from leagents_kedro.episodes.frame_cache import nearest_of, stored_images
from leagents_kedro.episodes.shards import Shards, index_of
from leagents_kedro.episodes.statistics import recorded_statistics
from leagents_kedro.foundation.findings import Check, Finding, error, run_checks, warning
from leagents_kedro.foundation.spelling import counted, nearest
from leagents_kedro.records import Suite
from leagents_kedro.simulation.environments import environment_of

_VALUE_TOLERANCE = 0.01  # of a feature's range: LeRobot sums in float32
_FLOAT32_TOLERANCE = 1e-3
_RANK_TOLERANCE = 0.01  # of all frames
_SHORT = 0.1  # of the median length of the task's episodes
_NAMED = 5


@dataclass(frozen=True)
class ExaminedDataset:
    """A dataset that is examined; what several checks look at is read once."""

    shards: Shards
    suite: Suite | None

    @property
    def root(self) -> Path:
        """Its folder."""
        return self.shards.root

    @cached_property
    def statistics(self) -> dict[str, dict[str, np.ndarray]]:
        """What ``meta/stats.json`` says."""
        return recorded_statistics(self.root)

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Every number of the dataset: arrays (frames, *shape) by feature."""
        return read_columns(self.shards.data_files, numeric_features(self.shards.features))

    @cached_property
    def digests(self) -> np.ndarray:
        """A digest of each episode as it is now, (episodes,)."""
        return computed_digests(self.shards).to_numpy()

    def without(self, episodes: Iterable[int]) -> tuple[str, str]:
        """Return the fix of ``episodes`` that should not be there, and its command; no dataset is without episodes."""
        bad = list(episodes)
        if len(bad) == self.shards.total_episodes:
            return "record anew: no episode is without the fault", ""
        if not self._lists_tasks:
            return "leave them out, by hand: meta/episodes lists no tasks, which lerobot-edit-dataset needs", ""
        return f"leave {'it' if len(bad) == 1 else 'them'} out, in a copy", delete_command(self.root, bad)

    def told(self, fix: str, sentences: dict[str, str]) -> tuple[str, str]:
        """Return a ``fix`` that replaces sentences, and its command, where LeRobot has one for the dataset."""
        if not self._lists_tasks:
            return f"{fix}, in meta/tasks.parquet: meta/episodes lists no tasks, which lerobot-edit-dataset needs", ""
        return f"{fix}, in a copy", rename_command(self.root, sentences)

    @cached_property
    def _lists_tasks(self) -> bool:
        return "tasks" in schema_of(self.shards.episode_files[0]).names


def examine_dataset(root: Path, suite: Suite | None = None, *, content: bool = True) -> list[Finding]:
    """Return what is wrong with the dataset in ``root``.

    Args:
        root: Folder of a LeRobotDataset.
        suite: What the loop needs; without it the dataset is looked at for itself.
        content: Whether to read every number, too.
    """
    return run_checks((*_FORM, *_CONTENT) if content else _FORM, ExaminedDataset(Shards(root), suite), root)


def _leaves_nothing_behind(subject: ExaminedDataset) -> Iterator[Finding]:
    """LeRobot's recorder keeps images in ``images/`` until an episode is saved, also those of video features."""
    if any((subject.root / "images").glob("*/*/*")):
        what = "holds frames of an episode that was never saved"
        yield warning(subject.root / "images", what, "delete the folder; the episode was lost when recording stopped")


def _has_sentences(subject: ExaminedDataset) -> Iterator[Finding]:
    file = subject.root / "meta" / "tasks.parquet"
    if read_table([file], ["task_index"])["task_index"].to_pylist() != list(range(len(subject.shards.tasks))):
        yield error(file, "task_index should count from 0 row by row, since LeRobot takes the row, does not", REWRITE)
    tasks = subject.shards.tasks
    if index_of(schema_of(file)) is None:
        what = "should have the sentences as the index that pandas reads, since LeRobot takes row numbers for them else"
        yield warning(file, what, "none needed: an import mends it")
    if empty := [task for task in tasks if not task.strip()]:
        said = subject.told("say what is done", dict.fromkeys(empty, "SAY WHAT IS DONE"))
        yield error(file, "every task should have a sentence, one is empty", *said)
    if twice := [task for task, times in Counter(tasks).items() if times > 1]:
        what = f"should have each sentence once, has {_some(map(repr, twice))} twice"
        yield error(file, what, *subject.told("join them", {task: task for task in twice}))
    alike = sorted(dict.fromkeys(tasks), key=_spoken)
    for _, group in groupby(alike, key=_spoken):
        same = list(group)
        if len(same) > 1:
            what = f"{' and '.join(map(repr, same))} differ in case, spaces, or marks alone, and are two tasks"
            one = subject.told("if they are one, give them one sentence", dict.fromkeys(same[1:], same[0]))
            yield warning(file, what, *one)


def _has_frames(subject: ExaminedDataset) -> Iterator[Finding]:
    index = subject.shards.index
    if len(empty := np.flatnonzero(index.length < 1)):
        yield error(subject.root, f"every episode should have a frame, {_episodes(empty)} has none", REWRITE)
    medians = {task: np.median(index.length[index.task == task]) for task in np.unique(index.task)}
    least = np.maximum(2, _SHORT * np.array([medians[task] for task in index.task]))
    if len(short := np.flatnonzero(index.length < least)):
        what = f"{_episodes(short)}: under 2 frames, or a tenth of the usual length of the task: aborted?"
        yield warning(subject.root, what, *subject.without(short.tolist()))


def _has_statistics(subject: ExaminedDataset) -> Iterator[Finding]:
    file, shards = subject.root / "meta" / "stats.json", subject.shards
    try:
        statistics = subject.statistics
    except (OSError, ValueError, AttributeError) as fault:
        what = f"should be the JSON that training normalizes with, but is not readable: {fault}"
        yield error(file, what, RECOMPUTE, recompute_command(subject.root, unreadable=True))
        return
    recompute = RECOMPUTE, recompute_command(subject.root)
    normalized = {key: feature for key, feature in recorded_features(shards.features).items() if is_read(key, feature)}
    for key in visual_features(normalized):
        if missing := [name for name in MOMENTS if name not in statistics.get(key, {})]:
            fix = (
                "none needed, unless a policy normalizes images by their range: mean and std are ImageNet's in training"
            )
            yield warning(file, f"lacks {', '.join(missing)} of the images '{key}'", fix)
    for key in numeric_features(normalized):
        found = statistics.get(key, {})
        if missing := [name for name in MOMENTS if name not in found]:
            yield error(file, f"should have {', '.join(MOMENTS)} of '{key}', lacks {', '.join(missing)}", *recompute)
            continue
        if not all(np.isfinite(values).all() for values in found.values()):
            bad = np.unique(_broken_frames(subject, key))
            mended = subject.without(bad.tolist()) if len(bad) else recompute
            yield error(file, f"statistics of '{key}' should be finite, are not", *mended)
        if {found[name].size for name in MOMENTS} - _sizes(shards.features[key]):
            what = f"statistics of '{key}' should have {shards.features[key]['shape'][-1]} numbers, do not"
            yield error(file, what, *recompute)
        if missing := [name for name in QUANTILES if name not in found]:
            fix = "only policies that normalize by quantiles, such as pi05, need them"
            yield warning(file, f"lacks the quantiles {', '.join(missing)} of '{key}'", fix, recompute[1])


def _fits_the_environment(subject: ExaminedDataset) -> Iterator[Finding]:
    """The dataset fits once it is imported: what then differs is an error, what the import changes a warning."""
    if (suite := subject.suite) is None:
        return
    own = subject.shards.features
    taken = taken_over(own, suite.features)
    unknown = [key for key in recorded_features(taken) if key not in suite.features]
    fitting = {key: feature for key, feature in taken.items() if key not in unknown}
    for difference in differences_from(fitting, subject.shards.fps, suite.features, suite.fps):
        fix = f"change suite.environment or suite.options{_sizes_that_fit(suite, taken)}, or write the dataset anew"
        yield error(subject.root, f"does not fit the environment: {difference}", fix)
    if unknown:
        what = f"does not fit the environment: the environment does not give {_some(map(repr, unknown))}"
        fix = "change suite.environment or suite.options, or leave what policies would read out, in a copy"
        yield error(subject.root, what, fix, remove_command(subject.root, unknown))
    if left := [key for key in own if key not in taken]:
        what = f"has {_some(map(repr, left))}, which policies do not read, and the environment does not give so"
        yield warning(subject.root, what, "none needed: an import leaves that out")
    if other := [key for key, feature in taken.items() if feature["dtype"] != own[key]["dtype"]]:
        what = f"has {_some(map(repr, other))} as other numbers than LeRobot or the environment"
        yield warning(subject.root, what, "none needed: an import converts them")


def _sizes_that_fit(suite: Suite, own: Features) -> str:
    """Return the environment's options by which it would show images of the size that the dataset has."""
    sizes: dict[str, int] = {}
    for key, feature in visual_features(suite.features).items():
        if key in own and tuple(own[key]["shape"]) != tuple(feature["shape"]):
            sizes |= environment_of(suite.environment).size_options(suite.options, *own[key]["shape"][:2])
    return f" ({', '.join(f'{name}: {size}' for name, size in sizes.items())})" if sizes else ""


def _can_be_learned(subject: ExaminedDataset) -> Iterator[Finding]:
    features = subject.shards.features
    if depth := [key for key, feature in visual_features(features).items() if is_depth_map(feature)]:
        what = f"has depth maps, {_some(map(repr, depth))}, on which nothing is trained here"
        yield error(subject.root, what, "leave them out, in a copy", remove_command(subject.root, depth))
    if "action" not in features:
        similar = nearest("action", set(features))
        said = f"; is it {similar!r}?" if similar else ""
        fix = "rename the column in data/, and in meta/info.json, stats.json, and episodes; or write the dataset anew"
        yield error(subject.root, f"should have 'action', which LeRobot's policies learn, has none{said}", fix)


def _covers_the_suite(subject: ExaminedDataset) -> Iterator[Finding]:
    if subject.suite is None:
        return
    index, tasks, wanted = subject.shards.index, subject.shards.tasks, subject.suite.sentences
    counts: Counter[str] = Counter()
    for task, many in zip(tasks, np.bincount(index.task, minlength=len(tasks)).tolist(), strict=True):
        counts[task] += many
    for name, sentence in zip(subject.suite.names, wanted, strict=True):
        if not counts.get(sentence):
            similar = nearest(sentence, set(tasks) - {sentence})
            said = f"; it says {similar!r}, which is another task to a policy" if similar else ""
            fix, command = "collect demonstrations of it, or leave its task out of suite.tasks", ""
            if similar:
                fix, command = subject.told("give it that sentence", {similar: sentence})
            there = similar or next((task for task in tasks if counts[task] and task not in wanted), None)
            if there:
                pair = json.dumps({name: there}, ensure_ascii=False)
                fix = f"if {there!r} is its sentence there, suite.sentences: {pair}; else {fix}"
            yield error(subject.root, f"should have episodes of {sentence!r}, has none{said}", fix, command)
    if others := [task for task in tasks if counts[task] and task not in wanted]:
        many = sum(counts[task] for task in set(others))
        what = f"{many} episodes of {_some(map(repr, others))} are of no task of the suite: nothing is trained on them"
        yield warning(subject.root, what, "add their tasks to suite.tasks, if they should count")


def _is_readable(subject: ExaminedDataset) -> Iterator[Finding]:
    try:
        _ = subject.columns
    except Exception:
        features = numeric_features(subject.shards.features)
        for file in subject.shards.data_files:
            try:
                read_columns([file], features)
            except Exception as fault:
                yield error(file, f"should hold the columns of meta/info.json, but: {fault}", REWRITE)


def _has_the_rows_of_its_index(subject: ExaminedDataset) -> Iterator[Finding]:
    index, columns = subject.shards.index, subject.columns
    frames = np.arange(subject.shards.total_frames)
    expected = {
        "index": frames,
        "episode_index": np.repeat(index.episode_index, index.length),
        "frame_index": frames - np.repeat(index.from_index, index.length),
    }
    for key, values in expected.items():
        if not np.array_equal(columns[key], values):
            first = expected["episode_index"][np.flatnonzero(columns[key] != values)[0]]
            what = f"column '{key}' is not as meta/episodes says, first in episode {first}"
            yield error(subject.root / "data", what, REWRITE)
    task, tasks = columns["task_index"], len(subject.shards.tasks)
    outside = (task < 0) | (task >= tasks)
    if (bad := np.unique(expected["episode_index"][outside])).size:
        what = f"column 'task_index' should be between 0 and {tasks - 1}, as meta/tasks.parquet says: {_episodes(bad)}"
        yield error(subject.root / "data", what, REWRITE)
    elif (bad := np.flatnonzero(task[index.from_index] != index.task)).size:
        what = f"column 'task_index' is not that of the sentence in meta/episodes: {_episodes(bad)}"
        yield error(subject.root / "data", what, REWRITE)


def _has_one_sentence_an_episode(subject: ExaminedDataset) -> Iterator[Finding]:
    index, task = subject.shards.index, subject.columns["task_index"]
    if (mixed := np.flatnonzero(np.add.reduceat(task != np.repeat(index.task, index.length), index.from_index))).size:
        what = f"{_episodes(mixed)}: several sentences; it is an episode of that of its first frame"
        yield warning(subject.root / "data", what, "none needed: each frame is trained with its own sentence")


def _has_regular_times(subject: ExaminedDataset) -> Iterator[Finding]:
    columns, fps = subject.columns, subject.shards.fps
    late = np.abs(columns["timestamp"] - columns["frame_index"] / fps) > time_tolerance_s(fps)
    if (bad := np.unique(columns["episode_index"][late])).size:
        what = f"timestamps should be frame_index / fps, where fps is {fps}, are not: {_episodes(bad)}"
        yield error(subject.root / "data", what, "correct fps in meta/info.json, or write the dataset anew")


def _is_finite(subject: ExaminedDataset) -> Iterator[Finding]:
    for key in _numbers(subject):
        if (bad := _broken_frames(subject, key)).size:
            broken = np.unique(bad)
            what = f"'{key}' should be finite, {len(bad)} frames are not: {_episodes(broken)}"
            yield error(subject.root / "data", what, *subject.without(broken.tolist()))


def _has_the_statistics_of_its_rows(subject: ExaminedDataset) -> Iterator[Finding]:
    file = subject.root / "meta" / "stats.json"
    for key, (rows, found) in _described(subject).items():
        actual = {
            "min": rows.min(0),
            "max": rows.max(0),
            "mean": rows.mean(0, np.float64),
            "std": rows.std(0, np.float64),
        }
        spread = actual["max"] - actual["min"]
        tolerance = _VALUE_TOLERANCE * spread + _FLOAT32_TOLERANCE * np.abs(actual["mean"]) + 1e-6
        wrong = [name for name, values in actual.items() if (np.abs(found[name] - values) > tolerance).any()]
        if wrong:
            name = wrong[0]
            worst = int(np.argmax(np.abs(found[name] - actual[name]) - tolerance))
            what = f"{', '.join(wrong)} of '{key}' should be those of the frames, are not: {name} of dimension {worst}"
            numbers = f"should be {actual[name][worst]:.6g}, is {found[name][worst]:.6g}"
            yield error(file, f"{what} {numbers}", RECOMPUTE, recompute_command(subject.root))


def _has_the_quantiles_of_its_rows(subject: ExaminedDataset) -> Iterator[Finding]:
    """Compare by rank, which an estimate is near to whatever the distribution."""
    wrong = []
    for key, (rows, found) in _described(subject).items():
        slack = _FLOAT32_TOLERANCE * (rows.max(0) - rows.min(0)) + 1e-6
        tolerance = _RANK_TOLERANCE + 1 / len(rows)
        for name in QUANTILES.keys() & found.keys():
            below, up_to = (rows < found[name] - slack).mean(0), (rows <= found[name] + slack).mean(0)
            if ((below - tolerance > QUANTILES[name]) | (up_to + tolerance < QUANTILES[name])).any():
                wrong.append(repr(key))
                break
    if wrong:
        fix = "none needed, unless a policy normalizes by quantiles, as pi05 does"
        what = f"quantiles of {_some(wrong)} are not those of the frames; LeRobot merges them as means of the episodes'"
        yield warning(subject.root / "meta" / "stats.json", what, fix)


def _acts(subject: ExaminedDataset) -> Iterator[Finding]:
    index = subject.shards.index
    if "action" not in subject.columns:
        return
    actions = subject.columns["action"].reshape(subject.shards.total_frames, -1)
    moved = np.maximum.reduceat(actions, index.from_index) != np.minimum.reduceat(actions, index.from_index)
    if len(still := np.flatnonzero(~moved.any(axis=1) & (index.length > 1))):
        what = f"{_episodes(still)}: one action from the first frame to the last"
        yield warning(subject.root / "data", what, *subject.without(still.tolist()))


def _varies(subject: ExaminedDataset) -> Iterator[Finding]:
    """Without spread a dimension is normalized by 1e-8: where it is another in evaluation, the policy sees millions."""
    for key in ("observation.state", "action"):
        if key in subject.columns:
            rows = subject.columns[key].reshape(subject.shards.total_frames, -1)
            if len(same := np.flatnonzero(rows.min(axis=0) == rows.max(axis=0))):
                what = f"'{key}' is the same in all frames in dimension {_some(map(str, same))}, so its std is 0"
                fix = "none, if it never changes; else record it anew, or leave the dimension out"
                yield warning(subject.root / "data", what, fix)


def _has_the_episodes_that_were_kept(subject: ExaminedDataset) -> Iterator[Finding]:
    kept = kept_digests(subject.shards)
    if kept is not None and (changed := np.flatnonzero(kept.to_numpy() != subject.digests)).size:
        what = f"{_episodes(changed)}: not what was recorded; a file, or a sentence, changed since"
        fix = "restore the folder from a copy; if the change is meant, delete meta/leagents/digests"
        yield error(subject.root, what, fix)


def _has_no_episode_twice(subject: ExaminedDataset) -> Iterator[Finding]:
    _, first = np.unique(subject.digests, return_index=True)
    if twice := sorted({*range(len(subject.digests))} - {*first.tolist()}):
        what = f"{_episodes(twice)}: the same numbers as an earlier episode, so that it counts twice in training"
        yield warning(subject.root / "data", what, *subject.without(twice))


def _has_all_video_frames(subject: ExaminedDataset) -> Iterator[Finding]:
    fps = subject.shards.fps
    for file, wanted in _looked_up(subject).items():
        try:
            shown, size = _shown(file)
        except (OSError, ValueError, IndexError) as fault:  # PyAV's errors are of these types
            yield error(file, f"should be a video, cannot be opened: {fault}", COPY)
            continue
        if len(shown) < len(wanted):
            yield error(file, f"should have {len(wanted)} frames, as meta/episodes says, has {len(shown)}", COPY)
            continue
        if (asked := _size(subject.shards.features[file.parents[1].name])) != size:
            what = "shows {}x{} pixels, where meta/info.json says {}x{}".format(*size, *asked)
            yield error(
                file, what, "correct the shape in meta/info.json if all videos are so; else copy or write it anew"
            )
        drift = float(np.abs(shown[nearest_of(shown, wanted)] - wanted).max())
        what = f"has frames up to {drift * 1000:,.1f} ms from where data/ and meta/episodes place them"
        if drift > time_tolerance_s(fps):
            most = f"{time_tolerance_s(fps) * 1000:.1f} ms, a tenth of a frame, is the most"
            fix = f"correct from_timestamp in meta/episodes, or encode it anew with {fps} frames a second throughout"
            yield error(file, f"{what}; {most}", fix)
        elif drift > TIME_TOLERANCE_S:
            fix = f"none needed here, where the nearest is taken; give lerobot-train --tolerance_s={2 * drift:.2g}"
            yield warning(file, what, fix)


def _has_all_images(subject: ExaminedDataset) -> Iterator[Finding]:
    """What is stored beside the numbers can be opened, and is what ``meta/info.json`` says; pixels are not decoded."""
    for key, feature in visual_features(subject.shards.features).items():
        if feature["dtype"] != "image":
            continue
        size, channels = _size(feature), feature["shape"][0 if _leads_with_channels(feature) else -1]
        stored = (image for file in subject.shards.data_files for image in stored_images(file, key))
        faults: dict[str, set[int]] = {}
        for episode, image in zip(subject.columns["episode_index"].tolist(), stored, strict=True):
            if fault := _image_fault(image, size, channels):
                faults.setdefault(fault, set()).add(episode)
        for fault, bad in faults.items():
            what = f"'{key}' {fault}, should be images of {'x'.join(map(str, size))} pixels and {channels} channels: "
            yield error(subject.root / "data", what + _episodes(sorted(bad)), *subject.without(sorted(bad)))


def _image_fault(image: dict[str, Any] | None, size: tuple[int, ...], channels: int) -> str | None:
    from PIL import Image

    if not (content := (image or {}).get("bytes")):
        return "lacks the content of some"
    try:
        with Image.open(io.BytesIO(content)) as opened:
            found, bands = (opened.height, opened.width), len(opened.getbands())
            opened.verify()
    except (OSError, SyntaxError, ValueError):
        return "holds some that cannot be decoded"
    if found != size:
        return f"holds some of {found[0]}x{found[1]} pixels"
    return None if bands == channels else f"holds some of {counted(bands, 'channel')}"


def _of_its_shards(check: Check[Shards]) -> Check[ExaminedDataset]:
    return lambda subject: check(subject.shards)


_FORM: tuple[tuple[Check[ExaminedDataset], ...], ...] = (
    *(tuple(map(_of_its_shards, stage)) for stage in FORM),
    (
        _leaves_nothing_behind,
        _has_sentences,
        _has_frames,
        _has_statistics,
        _can_be_learned,
        _fits_the_environment,
        _covers_the_suite,
    ),
)
_CONTENT: tuple[tuple[Check[ExaminedDataset], ...], ...] = (
    (_is_readable,),
    (
        _has_the_rows_of_its_index,
        _has_one_sentence_an_episode,
        _has_regular_times,
        _is_finite,
        _has_the_statistics_of_its_rows,
        _has_the_quantiles_of_its_rows,
        _acts,
        _varies,
        _has_the_episodes_that_were_kept,
        _has_no_episode_twice,
        _has_all_video_frames,
        _has_all_images,
    ),
)


def _looked_up(subject: ExaminedDataset) -> dict[Path, np.ndarray]:
    """Return the seconds in each video file at which the dataset has a frame."""
    shards = subject.shards
    seconds: dict[Path, np.ndarray] = {}
    for key, feature in visual_features(shards.features).items():
        if feature["dtype"] != "video":
            continue
        names = [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
        chunk, number, begin = (column.to_numpy() for column in shards.episode_table(names).columns)
        times = np.repeat(begin, shards.index.length) + subject.columns["timestamp"].astype(np.float64)
        for place in np.unique(np.stack([chunk, number]), axis=1).T.tolist():
            here = np.repeat((chunk == place[0]) & (number == place[1]), shards.index.length)
            file = VIDEO_PATH.format(video_key=key, chunk_index=place[0], file_index=place[1])
            seconds[shards.root / file] = times[here]
    return seconds


def _size(feature: dict[str, Any]) -> tuple[int, int]:
    """Return height and width of an image feature, whichever way its shape is told."""
    shape = tuple(feature["shape"])
    return shape[-2:] if _leads_with_channels(feature) else shape[:2]


def _leads_with_channels(feature: dict[str, Any]) -> bool:
    return flat_names(feature.get("names"))[:1] == ["channel"]


def _shown(file: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the seconds at which a video has a frame, ascending, and its height and width."""
    import av

    with av.open(str(file)) as container:
        size = container.streams.video[0].height, container.streams.video[0].width
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return np.sort([float(packet.pts * packet.time_base) for packet in packets if packet.pts is not None]), size


def _numbers(subject: ExaminedDataset) -> Features:
    """Return the numbers that matter: all, but those that an import for the suite leaves out."""
    own = subject.shards.features
    return numeric_features(recorded_features(taken_over(own, subject.suite.features) if subject.suite else own))


def _broken_frames(subject: ExaminedDataset, key: str) -> np.ndarray:
    """Return the episode of each frame in which the feature has a value that is not finite."""
    values = subject.columns[key]
    broken = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    return subject.columns["episode_index"][broken]


def _described(subject: ExaminedDataset) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Return rows (frames, dim) and recorded statistics, (dim,) each, of the features that have both, all finite."""
    described = {}
    for key, feature in _numbers(subject).items():
        found = subject.statistics.get(key, {})
        if found.keys() >= set(MOMENTS) and found["mean"].size in _sizes(feature):
            rows = subject.columns[key].reshape(-1, found["mean"].size)
            if np.isfinite(rows).all():
                described[key] = rows if rows.dtype.kind == "f" else rows.astype(np.float64), found
    return described


def _sizes(feature: dict[str, Any]) -> set[int]:
    """Return how many numbers a statistic may have: one a value, or one for each along the last axis."""
    return {int(np.prod(feature["shape"])), int(feature["shape"][-1])}


def _spoken(sentence: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", sentence).casefold()))


def _episodes(numbers: Iterable[int]) -> str:
    named = [str(number) for number in numbers]
    return f"episode{'s'[: len(named) > 1]} {_some(named)}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
