"""LeRobot checkpoints."""

import json
from pathlib import Path

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.errors import CheckpointError
from leagents_kedro.files import link_tree
from leagents_kedro.records import Checkpoint

_EMPTY = "EMPTY"
_RECORD = "checkpoint.json"
_PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")


class CheckpointDataset(PublishedDataset[Checkpoint | None, Checkpoint | None]):
    """A folder as ``lerobot-train`` writes it (``pretrained_model/``, ``training_state/``), and its record.

    Saving hard-links the files of ``checkpoint.path``, so a checkpoint that stays blessed for many cycles
    takes its space once. ``None``, no checkpoint yet, is a version too: a folder with an ``EMPTY`` file.
    """

    def _read(self, path: Path) -> Checkpoint | None:
        if (path / _EMPTY).exists():
            return None
        record = json.loads((path / _RECORD).read_text(encoding="utf-8"))
        checkpoint = Checkpoint(path=path, **record)
        _check_complete(checkpoint.pretrained_model)
        return checkpoint

    def _write(self, data: Checkpoint | None, path: Path) -> None:
        if data is None:
            path.mkdir()
            (path / _EMPTY).touch()
            return
        _check_complete(data.pretrained_model)
        link_tree(data.path, path, leave_out=(_RECORD,))
        (path / _RECORD).write_text(data.model_dump_json(indent=2, exclude={"path"}) + "\n", encoding="utf-8")


def _check_complete(folder: Path) -> None:
    """Refuse a folder that LeRobot could load only in part, or would look up on the Hub.

    Raises:
        CheckpointError: A file of the policy or of its processors is missing.
    """
    missing = [name for name in ("config.json", *_PROCESSORS) if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in ("model.safetensors", "adapter_model.safetensors")):
        missing.append("model.safetensors")
    for name in _PROCESSORS:
        if name not in missing:
            steps = json.loads((folder / name).read_text(encoding="utf-8"))["steps"]
            states = [step["state_file"] for step in steps if step.get("state_file")]
            missing += [state for state in states if not (folder / state).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder}: {', '.join(missing)} missing; expected a complete `pretrained_model` folder as "
            "lerobot-train writes it (checkpoints/<step>/pretrained_model)."
        )
