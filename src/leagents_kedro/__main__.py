"""``python -m leagents_kedro`` and ``leagents-kedro``: what an installed package runs, beside a folder ``conf/``.

``leagents-kedro run`` and ``leagents-kedro loop`` are ``kedro run`` and ``kedro loop``; where neither is named, options
are those of ``kedro run``, as in every package of Kedro.
"""

import sys
from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

from leagents_kedro.foundation.typed import use_program

_PACKAGE = "leagents_kedro"


def main(*args: Any, **kwargs: Any) -> Any:
    """Run the project of the working directory, or ask its loop."""
    use_program("leagents-kedro")
    configure_project(_PACKAGE)
    kwargs.setdefault("standalone_mode", not hasattr(sys, "ps1"))  # a session in Python goes on afterwards
    from leagents_kedro.cli import cli

    command = cli if {*sys.argv[1:2]} & {*cli.commands} else find_run_command(_PACKAGE)
    return command(*args, **kwargs)


if __name__ == "__main__":
    main()
