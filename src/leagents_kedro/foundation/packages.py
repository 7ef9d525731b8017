"""Installed packages, and what lies in their way."""

import sys
import sysconfig
from pathlib import Path


def in_the_way(error: ImportError) -> str | None:
    """Return what is imported in the place of an installed package, where that is why ``error`` came; else None."""
    name = (error.name or "").partition(".")[0]
    module = sys.modules.get(name)
    places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None) or ""]
    if not module or not places[0]:
        return None
    place = Path(places[0]).resolve()
    installed = (sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib"))
    if any(place.is_relative_to(Path(folder).resolve()) for folder in installed):
        return None
    return (
        f"{place} is imported in the place of the package '{name}': rename it, or take the folder that it is in out of "
        "PYTHONPATH"
    )
