"""What is downloaded from the Hub."""

from pathlib import Path
from typing import Any

from leagents_kedro.errors import ParameterError


def downloaded(repo_id: str, revision: str, parameter: str, **options: Any) -> Path:
    """Return the folder of a repository of the Hub, which is downloaded unless it is here already.

    Args:
        repo_id: Its owner and name.
        revision: A commit or tag.
        parameter: What names the revision.
        options: Others of ``huggingface_hub.snapshot_download``.

    Raises:
        ParameterError: It cannot be had; faults of the disk stay as they are, and name themselves.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo_id, revision=revision, **options))
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise ParameterError(
            f"'{repo_id}' cannot be downloaded: {type(error).__name__}: {reason}. Fix: '{repo_id}' must be reachable "
            f"under {parameter} ({revision}) as OWNER/NAME, or downloaded already; where it is private, `hf auth login`"
        ) from error
