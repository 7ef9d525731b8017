"""LeRobot checkpoints."""

from pathlib import Path

from leagents_kedro.datasets.published import PublishedDataset, is_empty, make_empty
from leagents_kedro.errors import CheckpointError
from leagents_kedro.foundation.files import link_tree
from leagents_kedro.foundation.untrusted import check_checkpoint
from leagents_kedro.policies.checkpoints import checkpoint_digest, missing_files, read_json, without_copy
from leagents_kedro.records import Checkpoint

_RECORD = "checkpoint.json"
_TRAINING_STATE = "training_state"


class CheckpointDataset(PublishedDataset[Checkpoint | None, Checkpoint | None]):
    """A folder with ``pretrained_model/`` as ``lerobot-train`` writes it, and its record.

    Saving hard-links the files of ``checkpoint.path``, so a checkpoint that stays blessed for many cycles
    takes its space once. The optimizer's state, ``training_state/``, is left out: it is twice as large as the weights,
    and only the training that wrote it goes on from it, in its workspace. ``None``, no checkpoint yet, is a version
    too: a folder with an ``EMPTY`` file.
    Loading reads every byte once a process: a weight that rotted would still load, and act otherwise than it was
    measured.
    """

    def _read(self, path: Path) -> Checkpoint | None:
        if is_empty(path):
            return None
        checkpoint = Checkpoint(path=path, **read_json(path / _RECORD))
        _check_complete(checkpoint.pretrained_model)
        if (found := checkpoint_digest(checkpoint.pretrained_model)) != checkpoint.digest:
            raise CheckpointError(
                f"{checkpoint.pretrained_model}: a file changed: the recorded digest is {checkpoint.digest[:12]}, it "
                f"is {found[:12]} now. Restore it from a copy. {without_copy()}"
            )
        return checkpoint

    def _write(self, data: Checkpoint | None, path: Path) -> None:
        if data is None:
            make_empty(path)
            return
        _check_complete(data.pretrained_model)
        link_tree(data.path, path, leave_out=(_RECORD, _TRAINING_STATE))
        (path / _RECORD).write_text(data.model_dump_json(indent=2, exclude={"path"}) + "\n", encoding="utf-8")


def recorded_digest(version: Path) -> str | None:
    """Return what a version says of itself; None where the folder is none, or does not say."""
    try:
        return str(read_json(version / _RECORD)["digest"])
    except (CheckpointError, KeyError, TypeError):
        return None


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
