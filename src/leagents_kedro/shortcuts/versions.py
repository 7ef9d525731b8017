"""A shortcut replaces the code of a library, so it is taken only with the versions that it was compared with."""

import logging
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

logger = logging.getLogger(__name__)


def are_tried(shortcut: str, tried: Mapping[str, str]) -> bool:
    """Return whether the installed libraries are those that ``shortcut`` was compared with, a version each.

    If not, the caller leaves the library's own path alone; a process warns once of each library.
    """
    warned_of = [library for library, expected in tried.items() if not _is_tried(shortcut, library, expected)]
    return not warned_of


@cache
def _is_tried(shortcut: str, library: str, expected: str) -> bool:
    found = _installed(library)
    if found == expected:
        return True
    logger.warning(
        "%s is installed in version %s, and the shortcut %s was tried with %s: the plain path is used, which is slower",
        library,
        found,
        shortcut,
        expected,
    )
    return False


def _installed(library: str) -> str:
    """Return the version of ``library``, without the build that it is (2.11.0+cpu)."""
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return "none"
