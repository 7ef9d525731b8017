"""LeRobot checkpoints."""

import json
from pathlib import Path
from typing import Any

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.errors import CheckpointError
from leagents_kedro.foundation.files import link_tree
from leagents_kedro.foundation.untrusted import check_checkpoint
from leagents_kedro.policies.checkpoints import checkpoint_digest
from leagents_kedro.records import Checkpoint

_EMPTY = "EMPTY"
_RECORD = "checkpoint.json"
_PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")


class CheckpointDataset(PublishedDataset[Checkpoint | None, Checkpoint | None]):
    """A folder as ``lerobot-train`` writes it (``pretrained_model/``, ``training_state/``), and its record.

    Saving hard-links the files of ``checkpoint.path``, so a checkpoint that stays blessed for many cycles
    takes its space once. ``None``, no checkpoint yet, is a version too: a folder with an ``EMPTY`` file.
    Loading reads every byte once: a weight that rotted would still load, and act otherwise than it was measured.
    """

    def _read(self, path: Path) -> Checkpoint | None:
        if (path / _EMPTY).exists():
            return None
        checkpoint = Checkpoint(path=path, **_read_json(path / _RECORD))
        _check_complete(checkpoint.pretrained_model)
        if (found := checkpoint_digest(checkpoint.pretrained_model)) != checkpoint.digest:
            raise CheckpointError(
                f"{checkpoint.pretrained_model}: a file changed: the recorded digest is {checkpoint.digest[:12]}, it "
                f"is {found[:12]} now. Restore it from a copy, or delete this version and run the cycle again."
            )
        return checkpoint

    def _write(self, data: Checkpoint | None, path: Path) -> None:
        if data is None:
            path.mkdir()
            (path / _EMPTY).touch()
            return
        _check_complete(data.pretrained_model)
        link_tree(data.path, path, leave_out=(_RECORD,))
        (path / _RECORD).write_text(data.model_dump_json(indent=2, exclude={"path"}) + "\n", encoding="utf-8")


def missing_files(folder: Path) -> list[str]:
    """Return the names that a ``pretrained_model`` folder lacks; LeRobot would look the first two up on the Hub.

    Raises:
        CheckpointError: A processor's file is damaged.
    """
    missing = [name for name in ("config.json", *_PROCESSORS) if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in ("model.safetensors", "adapter_model.safetensors")):
        missing.append("model.safetensors")
    for name in _PROCESSORS:
        if name not in missing:
            states = [step.get("state_file") for step in _read_json(folder / name)["steps"]]
            missing += [state for state in states if state and not (folder / state).is_file()]
    return missing


def _check_complete(folder: Path) -> None:
    """Refuse a folder that LeRobot could load only in part, or would look up on the Hub.

    Raises:
        CheckpointError: A file of the policy or of its processors is missing, or cannot be trusted.
    """
    if missing := missing_files(folder):
        raise CheckpointError(
            f"{folder}: {', '.join(missing)} missing; expected a complete `pretrained_model` folder as "
            "lerobot-train writes it (checkpoints/<step>/pretrained_model)."
        )
    check_checkpoint(folder)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file}: expected a JSON object, got something else ({error}). The file was damaged or edited; restore it "
            "from a copy, or delete this version and run the cycle again."
        ) from error
