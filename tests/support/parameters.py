"""The project's own parameters and limits, as the models that nodes get."""

from pathlib import Path
from typing import Any

import yaml

from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.records import Suite
from leagents_kedro.simulation.simulator import Simulator

ROOT = Path(__file__).parents[2]
BASE = ROOT / "conf" / "base"


def base_parameters(name: str, **changes: Any) -> dict[str, Any]:
    """Return what ``conf/base/parameters_<name>.yml`` holds, with ``changes`` over it."""
    return yaml.safe_load((BASE / f"parameters_{name}.yml").read_text())[name] | changes


def base_constitution() -> Constitution:
    return ConstitutionDataset(str(BASE / "constitution.yml")).load()


def described(environment: str, *tasks: str, **options: Any) -> Suite:
    """Look at an environment in this process."""
    return Simulator(environment, options, 1, None).describe(tasks)
