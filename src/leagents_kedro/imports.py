"""Imports of many large libraries."""

import gc
from importlib import import_module


def import_uncollected(*modules: str) -> None:
    """Import without collecting garbage, a tenth of the time: a million objects, and next to none of them garbage.

    Later collections leave out all that there is by now, so this is for the start of a process.
    """
    gc.disable()
    try:
        for module in modules:
            import_module(module)
        gc.freeze()
    finally:
        gc.enable()
