"""Progress bars of long steps, with the time left; silent where the output is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(title: str, total: int, unit: str) -> Iterator[Callable[[int, str], None]]:
    """Show a bar for ``total`` units; the function yielded takes the number done so far and a note."""
    with tqdm(desc=title, total=total, unit=unit, file=sys.stderr, disable=None, leave=False) as bar:

        def show(done: int, note: str) -> None:
            bar.set_postfix_str(note, refresh=False)
            bar.update(done - bar.n)

        yield show
