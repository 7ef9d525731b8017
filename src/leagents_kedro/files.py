"""Files that are there completely or not at all, also after a power cut."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, bring it to the disk, and rename it into place."""
    staging = path.with_name(f".staging-{path.name}")
    with staging.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    staging.rename(path)
