"""``python -m leagents_kedro`` and ``leagents-kedro``: what an installed package runs, beside a folder ``conf/``.

``leagents-kedro run`` and ``leagents-kedro loop`` are ``kedro run`` and ``kedro loop``; where neither is named, options
are those of ``kedro run``, as in every package of Kedro.
"""

import os
import sys
from typing import Any

from leagents_kedro.foundation.typed import use_program

_PACKAGE = "leagents_kedro"


def main(*args: Any, **kwargs: Any) -> Any:
    """Run the project of the working directory, or ask its loop."""
    use_program("leagents-kedro")
    _import_kedro()
    from kedro.framework.cli.utils import find_run_command
    from kedro.framework.project import configure_project

    configure_project(_PACKAGE)
    kwargs.setdefault("standalone_mode", not hasattr(sys, "ps1"))  # a session in Python goes on afterwards
    from leagents_kedro.cli import cli

    asked = {*sys.argv[1:2]} & {*cli.commands} - {"catalog"}  # which needs a project in the place of a package
    command = cli if asked else find_run_command(_PACKAGE)
    return command(*args, **kwargs)


def _import_kedro() -> None:
    """Import what reads ``conf/logging.yml``: in a command of Kedro's own nobody can tell that it is damaged."""
    try:
        import kedro.framework.project  # noqa: F401
    except ImportError:
        raise
    except Exception as error:
        file = os.environ.get("KEDRO_LOGGING_CONFIG") or "conf/logging.yml"
        reason = " ".join(f"{error} {error.__cause__ or ''}".split())
        raise SystemExit(
            f"Error: {file}: expected Python's logging configuration, got {reason}. Correct it."
        ) from error


if __name__ == "__main__":
    main()
