"""Commands of LeRobot that mend a dataset, to be typed as they are: each writes a copy and leaves the dataset alone."""

import json
import shlex
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path


def convert_command(root: Path) -> str:
    """Return the command that writes the dataset of version 2.1 in ``root`` as version 3.0.

    LeRobot's converter works in place, and replaces the folder by one named ``_old`` that lies beside it.
    """
    copy = _copy_of(root)
    script = ("python", "-m", "lerobot.scripts.convert_dataset_v21_to_v30")
    convert = _line(*script, _repo(root, "--repo-id"), f"--root={copy}", "--push-to-hub=false")
    return f"{_copying(root, copy)} && {convert}"


def delete_command(root: Path, episodes: Iterable[int]) -> str:
    """Return the command that leaves ``episodes`` out; LeRobot refuses where none would remain."""
    chosen = f"--operation.episode_indices={[*map(int, episodes)]}"
    return _edit(root, root, _copy_of(root), "delete_episodes", chosen)


def remove_command(root: Path, features: Iterable[str]) -> str:
    """Return the command that leaves ``features`` out."""
    return _edit(root, root, _copy_of(root), "remove_feature", f"--operation.feature_names={[*features]}")


def rename_command(root: Path, sentences: Mapping[str, str]) -> str:
    """Return the command that puts other ``sentences`` in the place of some; LeRobot does so in place."""
    copy = _copy_of(root)
    replaced = f"--operation.task_replacements={json.dumps(sentences)}"
    return f"{_copying(root, copy)} && {_edit(root, copy, None, 'modify_tasks', replaced)}"


def recompute_command(root: Path, *, unreadable: bool = False) -> str:
    """Return the command that computes the statistics of numbers anew; ``unreadable`` ones stand in its way."""
    copy = _copy_of(root)
    copying = _copying(root, copy) + (f" && {_line('rm', copy / 'meta' / 'stats.json')}" if unreadable else "")
    return f"{copying} && {_edit(root, copy, copy, 'recompute_stats', '--operation.overwrite=true')}"


def copy_command(root: Path) -> str:
    """Return the command that copies the dataset, with the files that links lead to."""
    return _copying(root, _copy_of(root))


def _edit(root: Path, source: Path, target: Path | None, operation: str, argument: str) -> str:
    places = [f"--root={source.resolve()}", *([f"--new_root={target}"] if target else [])]
    return _line("lerobot-edit-dataset", _repo(root, "--repo_id"), *places, f"--operation.type={operation}", argument)


def _repo(root: Path, option: str) -> str:
    return f"{option}=local/{root.resolve().name}"


def _copying(root: Path, copy: Path) -> str:
    """Return the command that copies the dataset, and what the Hub's cache links to, without what we keep beside."""
    kept = root / "meta" / "leagents"
    return _line("cp", "-rL", root.resolve(), copy) + (
        f" && {_line('rm', '-r', copy / 'meta' / 'leagents')}" * kept.exists()
    )


def _copy_of(root: Path) -> Path:
    """Return a place beside the dataset, where neither a folder nor LeRobot's backup of one is."""
    root = root.resolve()
    names = (root.with_name(f"{root.name}_fixed{number if number > 1 else ''}") for number in count(1))
    return next(place for place in names if not (place.exists() or place.with_name(f"{place.name}_old").exists()))


def _line(*words: str | Path) -> str:
    return shlex.join(map(str, words))
