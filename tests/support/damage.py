"""Damage to datasets: functions that are given the dataset's folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

type Damage = Callable[[Path], object]


def info(**changes: object) -> Damage:
    """Change ``meta/info.json``."""

    def damage(root: Path) -> None:
        path = root / "meta" / "info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def feature(key: str, **changes: object) -> Damage:
    """Change what ``meta/info.json`` says of a feature, or add one."""

    def damage(root: Path) -> None:
        features = json.loads((root / "meta" / "info.json").read_text())["features"]
        info(features=features | {key: features.get(key, {}) | changes})(root)

    return damage


def more(key: str, dtype: str) -> Damage:
    """Add a column."""

    def damage(root: Path) -> None:
        (file,) = root.glob("data/*/*")
        table = pq.read_table(file)
        pq.write_table(table.append_column(key, pa.array([0] * len(table)).cast(dtype)), file)
        feature(key, dtype=dtype, shape=[1], names=None)(root)

    return damage


def statistics(change: Callable[[dict], object]) -> Damage:
    """Change ``meta/stats.json``."""

    def damage(root: Path) -> None:
        path = root / "meta" / "stats.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def column(pattern: str, name: str, change: Callable[[list], object]) -> Damage:
    """Change the values of a column in the one file that ``pattern`` finds."""

    def damage(root: Path) -> None:
        (file,) = root.glob(pattern)
        table = pq.read_table(file)
        values = table[name].to_pylist()
        change(values)
        field = table.schema.field(name)
        pq.write_table(table.set_column(table.schema.names.index(name), field, pa.array(values, field.type)), file)

    return damage


def frames(name: str, change: Callable[[list], object]) -> Damage:
    return column("data/*/*.parquet", name, change)


def episodes(name: str, change: Callable[[list], object]) -> Damage:
    return column("meta/episodes/*/*.parquet", name, change)


def said(sentence: str) -> Damage:
    """Put another sentence in the place of the second."""

    def damage(root: Path) -> None:
        column("meta/tasks.parquet", "task", put(1, sentence))(root)
        episodes("tasks", lambda values: [put(n, [sentence])(values) for n in (1, 3, 5)])(root)

    return damage


def put(position: int, value: object) -> Callable[[list], None]:
    return lambda values: values.__setitem__(position, value)


def number(position: int, dimension: int, value: float) -> Callable[[list], None]:
    """Change one number of a vector."""
    return lambda values: values[position].__setitem__(dimension, value)


def written(pattern: str, content: bytes) -> Damage:
    return lambda root: next(file.write_bytes(content) for file in root.glob(pattern))


def without(pattern: str) -> Damage:
    return lambda root: [file.unlink() for file in root.glob(pattern)]


def torn(pattern: str) -> Damage:
    """Cut the end of each file that ``pattern`` finds off."""
    return lambda root: [file.write_bytes(file.read_bytes()[:-100]) for file in root.glob(pattern)]


def flipped(content: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
