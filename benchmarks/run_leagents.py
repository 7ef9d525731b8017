"""LeAgents' own command line, run by the Python of its environment: ``python -P run_leagents.py run -c CONFIG``.

Its collector of rollouts takes no ``--env.discover_packages_path`` as LeRobot's commands do, so it is started with the
environment type already registered; nothing else differs from ``leagents``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from leagents import cli  # type: ignore[import-not-found]
from leagents.agents.base import RunResult, subprocess_runner  # type: ignore[import-not-found]

_COLLECTOR = "leagents.scripts.collect_rollouts"
_REGISTERED = (
    "import runpy, leagents_kedro.simulation.metaworld.config;"
    f"runpy.run_module({_COLLECTOR!r}, run_name='__main__', alter_sys=True)"
)


def run_registered(command: Sequence[str], log_path: Path) -> RunResult:
    if list(command[1:3]) == ["-m", _COLLECTOR]:
        command = [command[0], "-c", _REGISTERED, *command[3:]]
    return subprocess_runner(command, log_path)


if __name__ == "__main__":
    cli.subprocess_runner = run_registered
    sys.exit(cli.main())
