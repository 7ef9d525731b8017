"""The caches of Hugging Face's libraries, which lie outside of the project."""

import os
from pathlib import Path

_VARIABLES = ("HF_DATASETS_CACHE", "HF_HUB_CACHE", "HF_HOME")


def cache_hint(error: Exception) -> str:
    """Return a sentence that names the cache where ``error`` is of one: its libraries do not always say it."""
    caches = _caches()
    own = "Not enough disk space" in str(error)  # what `datasets` says, without a place
    if own or any(str(place) in str(error) for place in caches.values()):
        return (
            f" It is the cache of Hugging Face's libraries, below {caches['HF_HOME']}: make room there, or set HF_HOME "
            "(or HF_DATASETS_CACHE, HF_HUB_CACHE) to a folder that can be written."
        )
    return ""


def _caches() -> dict[str, Path]:
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"))
    given = {name: Path(os.environ[name]).expanduser() for name in _VARIABLES if os.environ.get(name)}
    return {"HF_HOME": home.expanduser()} | given
