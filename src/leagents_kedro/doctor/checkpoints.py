"""The checks of a checkpoint folder. A new check is a function that yields findings, in `_FORM` or `_CONTENT`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from leagents_kedro.episodes.statistics import recorded_statistics
from leagents_kedro.errors import CheckpointError
from leagents_kedro.foundation.findings import Check, Finding, error, run_checks, warning
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.foundation.untrusted import check_checkpoint, stand_in
from leagents_kedro.policies.checkpoints import (
    PROCESSORS,
    checkpoint_digest,
    known_policies,
    missing_files,
    processor_steps,
    way_to_complete,
)
from leagents_kedro.records import Suite

_NORMALIZERS = ("normalizer_processor", "unnormalizer_processor")
_STATISTICS = {
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
}
_SHIFT = 1.0  # standard deviations of the mix
_SCALE = 2.0
_RESTORE = "restore it from a copy"


@dataclass(frozen=True)
class ExaminedCheckpoint:
    """A checkpoint that is examined: the folder with ``config.json``, and what it is held against."""

    folder: Path
    suite: Suite | None
    mix: Path | None
    digest: str | None

    @cached_property
    def config(self) -> dict[str, Any]:
        """LeRobot's configuration of the policy."""
        return json.loads((self.folder / "config.json").read_text(encoding="utf-8"))

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """What the policy sees and gives, with type and shape."""
        return {**(self.config.get("input_features") or {}), **(self.config.get("output_features") or {})}


def examine_checkpoint(
    folder: Path,
    suite: Suite | None = None,
    mix: Path | None = None,
    digest: str | None = None,
    *,
    content: bool = True,
) -> list[Finding]:
    """Return what is wrong with the checkpoint in ``folder``.

    Args:
        folder: It holds the policy's ``config.json``, or ``pretrained_model/`` with it.
        suite: What the loop needs; without it the checkpoint is looked at for itself.
        mix: Folder of the dataset that training goes on with.
        digest: What was recorded of it, as loading a version of the loop compares by itself.
        content: Whether to read every weight, too.
    """
    inner = folder / "pretrained_model"
    subject = ExaminedCheckpoint(inner if inner.is_dir() else folder, suite, mix, digest)
    return run_checks((*_FORM, *_CONTENT) if content else _FORM, subject, subject.folder)


def changed(folder: Path, digest: str, found: str) -> Finding:
    """Return the finding that a ``pretrained_model`` folder is not what was recorded."""
    return error(folder, f"a file changed: the recorded digest is {digest[:12]}, it is {found[:12]} now", _RESTORE)


def _has_its_files(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    if missing := missing_files(subject.folder):
        what = f"should be a `pretrained_model` folder as lerobot-train writes it, lacks {', '.join(missing)}"
        yield error(subject.folder, what, *way_to_complete(subject.folder))


def _has_readable_json(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    for file in sorted(subject.folder.glob("*.json")):
        try:
            if isinstance(content := json.loads(file.read_text(encoding="utf-8")), dict):
                continue
            fault = f"it holds a {type(content).__name__}, no object"
        except ValueError as error_of_json:
            fault = str(error_of_json)
        yield error(file, f"should be JSON, is damaged: {fault}", stand_in(file) or _RESTORE)


def _runs_no_code(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    try:
        check_checkpoint(subject.folder)
    except CheckpointError as fault:
        yield error(subject.folder, str(fault), "do not use it unless you trust who made it; convert it by hand then")


def _has_its_digest(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    if subject.digest and (found := checkpoint_digest(subject.folder)) != subject.digest:
        yield changed(subject.folder, subject.digest, found)


def _has_a_known_policy(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    import draccus
    from lerobot.configs import PreTrainedConfig

    file, kind = subject.folder / "config.json", str(subject.config.get("type"))
    known = known_policies(kind)
    if kind not in known:
        yield error(file, no_such("policy type", kind, known).rstrip("."), "update LeRobot, or correct `type`")
        return
    try:
        draccus.decode(PreTrainedConfig, subject.config)
    except (draccus.ParsingError, TypeError, ValueError) as fault:
        what = f"should be the configuration of '{kind}' in this LeRobot: {fault}"
        yield error(file, what, "write it with the LeRobot that is installed, or take the unknown fields away")


def _fits_the_environment(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    if subject.suite is None:
        return
    fix = "train from scratch on the mix, or change suite.environment or suite.options back"
    for key, feature in subject.features.items():
        shape, given = tuple(feature["shape"]), subject.suite.features.get(key)
        if given is None:
            what = f"the policy needs '{key}', which the environment does not give"
            yield error(subject.folder, f"{what}; it gives {', '.join(subject.suite.features)}", fix)
        elif given["dtype"] != "video" and shape != tuple(given["shape"]):
            what = f"'{key}' should have the environment's shape {tuple(given['shape'])}, has {shape}"
            yield error(subject.folder, what, fix)


def _normalizes_like_the_mix(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    """Without statistics LeRobot leaves a feature as it is, and says nothing."""
    mix = recorded_statistics(subject.mix) if subject.mix else {}
    drifted: dict[str, None] = {}
    for processor, step in ((file, step) for file in PROCESSORS for step in processor_steps(subject.folder / file)):
        if step.get("registry_name") not in _NORMALIZERS:
            continue
        found = _statistics(subject.folder, step)
        where = subject.folder / (step.get("state_file") or processor)
        for key, feature in step["config"]["features"].items():
            names = _STATISTICS.get(step["config"]["norm_map"].get(feature["type"], "IDENTITY"), ())
            values = [found[f"{key}.{name}"] for name in names if f"{key}.{name}" in found]
            if len(values) < len(names):
                what = f"should normalize '{key}' by {' and '.join(names)}, has none: it goes to the policy as it is"
                yield error(where, what, "train from scratch on a dataset with statistics")
            elif not all(np.isfinite(value).all() for value in values):
                yield error(where, f"statistics of '{key}' should be finite, are not", _RESTORE)
            elif (
                names == ("mean", "std")
                and feature["type"] != "VISUAL"
                and _drifted(values[0], values[1], mix.get(key, {}))
            ):
                drifted[key] = None
    if drifted:
        what = f"normalizes {', '.join(map(repr, drifted))} otherwise than the mix now would"
        fix = "none, if it was trained on other data; else training.normalization: refresh"
        yield warning(subject.folder, what, fix)


def _has_finite_weights(subject: ExaminedCheckpoint) -> Iterator[Finding]:
    from safetensors import SafetensorError, safe_open

    for file in sorted(subject.folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                broken = [name for name in tensors.keys() if not tensors.get_tensor(name).isfinite().all()]  # noqa: SIM118
        except SafetensorError as fault:
            yield error(file, f"should be safetensors, is damaged: {fault}", stand_in(file) or _RESTORE)
            continue
        if broken and not file.name.startswith("policy_"):
            what = f"weights should be finite, {len(broken)} tensors are not, first {broken[0]}"
            yield error(file, what, "train again, with a lower learning rate")


_FORM: tuple[tuple[Check[ExaminedCheckpoint], ...], ...] = (
    (_has_readable_json,),
    (_has_its_files,),
    (_runs_no_code, _has_its_digest),
    (_has_a_known_policy,),
    (_fits_the_environment,),
)
_CONTENT: tuple[tuple[Check[ExaminedCheckpoint], ...], ...] = ((_has_finite_weights,), (_normalizes_like_the_mix,))


def _statistics(folder: Path, step: dict[str, Any]) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / step["state_file"]) if step.get("state_file") else {}


def _drifted(mean: np.ndarray, std: np.ndarray, mix: dict[str, np.ndarray]) -> bool:
    """Whether a dimension that varies in the mix is shifted or scaled by more than training would settle by itself."""
    if "mean" not in mix or mix["mean"].size != mean.size:
        return False
    varies = mix["std"] > 1e-6
    shifted = np.abs(mean.ravel() - mix["mean"]) > _SHIFT * mix["std"]
    scaled = np.maximum(std.ravel(), mix["std"]) > _SCALE * np.minimum(std.ravel(), mix["std"])
    return bool((varies & (shifted | scaled)).any())
