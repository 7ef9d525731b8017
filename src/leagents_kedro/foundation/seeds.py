"""Seeds of episodes: reproducible from names, and disjoint between purposes by construction."""

import hashlib
from typing import Literal, get_args

Purpose = Literal["demonstration", "evaluation", "harvest", "training"]

_INDEX_BITS = 29
_PURPOSES = get_args(Purpose)


def derive_seed(purpose: Purpose, *names: str | int, index: int) -> int:
    """Return the seed of the ``index``-th episode of ``names`` (a loop seed, a checkpoint, a task ...).

    The top bits of the 31-bit seed are the purpose, so no two purposes ever
    share a seed; below them a hash of the names is advanced by ``index``, so no two indices do either.

    >>> derive_seed("evaluation", 0, "reach-v3", index=1) - derive_seed("evaluation", 0, "reach-v3", index=0)
    1
    """
    text = "\x1f".join(map(str, (purpose, *names)))
    start = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return _PURPOSES.index(purpose) << _INDEX_BITS | (start + index) % (1 << _INDEX_BITS)
