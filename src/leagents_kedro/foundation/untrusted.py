"""What others wrote is looked at before anything opens it: folders of data sets and checkpoints, also from the Hub.

Reading them must neither run code nor leave their folder. ``docs/security.md`` says who is trusted with what.
"""

import json
import os
from pathlib import Path
from typing import Any

from leagents_kedro.errors import CheckpointError, EpisodesError

REMOTE_CODE_POLICIES = frozenset({"gaussian_actor", "groot", "pi0_fast", "wall_x"})
"""LeRobot's policy types that trust code from the Hub, whatever their options say."""

_PICKLED = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}


_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # that editors put before text


def stand_in(file: Path) -> str | None:
    """Return how to get a ``file`` that cannot be read, where what lies in its place tells; else None."""
    try:
        with file.open("rb") as opened:
            begin = opened.read(64)
    except OSError:
        return None
    if not begin:
        return "it is empty: copy it again"
    if begin.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: fetch what it points to, with `git lfs pull` where it was cloned"
    if begin.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page: download the file itself, as `hf download` does"
    if file.suffix == ".json" and begin.startswith(_MARKS):
        return "it begins with a byte order mark: save it as UTF-8 without one"
    return None


def check_dataset_paths(root: Path, info: dict[str, Any], templates: dict[str, str]) -> None:
    """Refuse a LeRobotDataset whose ``meta/info.json`` or links lead out of its folder.

    Args:
        root: Its folder.
        info: The content of ``meta/info.json``.
        templates: What may stand there as ``data_path`` and ``video_path``.

    Raises:
        EpisodesError: A path template is not that of LeRobotDataset v3, a feature's name is no plain name, or a link
            points elsewhere.
    """
    for name, expected in templates.items():
        if info.get(name) not in {expected, None}:
            raise EpisodesError(f"{root}: {name} in meta/info.json should be {expected!r}, got {info[name]!r}")
    if unsafe := sorted(key for key in info["features"] if not _is_plain_name(key)):
        raise EpisodesError(
            f"{root}: features are parts of file names, but {', '.join(map(repr, unsafe))} in meta/info.json is none"
        )
    if outside := link_outside(root):
        raise EpisodesError(f"{outside}: links to a place outside of the data set; put the file itself there")


def check_checkpoint(pretrained_model: Path) -> None:
    """Refuse a ``pretrained_model`` folder that LeRobot could not open without running code of others.

    Raises:
        CheckpointError: A file is pickled, a processor is no class of LeRobot's or trusts code from the Hub, or a state
            or link lies outside of the folder.
    """
    for path in sorted(pretrained_model.rglob("*")):
        if path.suffix.lower() in _PICKLED:
            raise CheckpointError(f"{path}: may hold pickled objects, which run code when loaded; only safetensors may")
    if outside := link_outside(pretrained_model):
        raise CheckpointError(f"{outside}: links to a place outside of the checkpoint; put the file itself there")
    for file in sorted(pretrained_model.glob("policy_*processor.json")):
        for step in _json(file).get("steps", []):
            if fault := _fault_of_step(step, pretrained_model):
                raise CheckpointError(f"{file}: {fault}")


def _fault_of_step(step: dict[str, Any], folder: Path) -> str | None:
    name = step.get("registry_name") or str(step.get("class"))
    if "registry_name" not in step and not name.startswith("lerobot."):
        return f"the processor {name} would be imported; only LeRobot's own may"
    state = step.get("state_file")
    if state and not (_is_plain_name(state) and state.endswith(".safetensors")):
        return f"the state of {name} should be a safetensors file beside it, got {state!r}"
    trusts = step.get("config", {}).get("trust_remote_code", name == "action_tokenizer_processor")
    if trusts and _json(folder / "config.json").get("type") not in REMOTE_CODE_POLICIES:
        return f"the processor {name} would run code from the Hub (trust_remote_code)"
    return None


def _is_plain_name(name: str) -> bool:
    return bool(name.strip(".")) and not set(name) & set("/\\\0")


def link_outside(folder: Path) -> Path | None:
    """Return a link that leads out of ``folder``; the Hub's cache links to the blobs beside its snapshots."""
    snapshot = folder.resolve()
    root = snapshot.parents[1] if snapshot.parent.name == "snapshots" else snapshot
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                return path
    return None


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{file}: expected a JSON object ({error})") from error
