"""Where the entries of the catalog lie: on this machine, whatever other places Kedro knows."""

from pathlib import PurePosixPath

from kedro.io.core import DatasetError as KedroDatasetError
from kedro.io.core import get_protocol_and_path


def local_path(filepath: str) -> str:
    """Return the path that a ``filepath`` of the catalog means, which may begin with ``file://``.

    Raises:
        kedro.io.DatasetError: It is of another protocol, or would be taken for a folder named ``~`` or ``$...``.
    """
    protocol, path = get_protocol_and_path(filepath)
    if protocol != "file":
        raise KedroDatasetError(
            f"{filepath}: expected a path on this machine, or file:///path, got {protocol}://. Versions are published "
            "by renames and shared by links, which only a mounted file system has: mount the storage and name its "
            "folder, or copy there what was published"
        )
    if "://" in path or (path != filepath and filepath != f"file://{path}"):
        raise KedroDatasetError(f"{filepath}: expected a path, or file:///path with three slashes, got another address")
    if literal := [part for part in PurePosixPath(path).parts if part == "~" or part.startswith("$")]:
        raise KedroDatasetError(
            f"{filepath}: expected a path with all its folders written out, got {literal[0]!r}, which Kedro does not "
            "replace; an environment variable is written ${oc.env:NAME}"
        )
    return path
