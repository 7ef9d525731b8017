"""What outcomes depend on beside checkpoint, task, and seed: only those under one protocol may be compared."""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.policies.checkpoints import resolve_device
from leagents_kedro.records import Suite
from leagents_kedro.simulation.environments import environment_of

_LIBRARIES = ("gymnasium", "lerobot", "mujoco", "numpy", "torch")
_PLUGINS = ("lerobot_env_", "lerobot_policy_")  # as LeRobot finds them
_SHOWN = 200  # letters of a condition; a longer one is named by a digest


def protocol_of(suite: Suite, evaluation: EvaluationParams, run_seed: int) -> dict[str, str]:
    """Return the conditions of an evaluation, by name.

    They are parameters, versions of libraries and simulators, and digests of the code that runs episodes: this
    wing's with the folder of the suite's environment, the actor's and our policies', and that of LeRobot's plug-ins.

    Raises:
        ParameterError: ``evaluation.device`` is not there.
    """
    given = {
        "environment": suite.environment,
        "tasks": dict(zip(suite.names, suite.sentences, strict=True)),
        "options": suite.options,
        "features": suite.features,
        "fps": suite.fps,
        "device": resolve_device(evaluation.device, "evaluation.device"),
        "torch_threads": evaluation.torch_threads,
        "shortcuts": evaluation.shortcuts,
        "run_seed": run_seed,
    }
    return {name: _text(value) for name, value in given.items()} | _installed(suite.environment)


def protocol_digest(conditions: Mapping[str, str]) -> str:
    """Return a name for exactly these conditions."""
    return hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return which conditions are others now, with both values: ``mujoco 3.16.0, now 3.17.0``."""
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return "; ".join(f"{name} {before.get(name, 'none')}, now {now.get(name, 'none')}" for name in names)


def _text(value: Any) -> str:
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
    return text if len(text) <= _SHOWN else hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _installed(environment: str) -> dict[str, str]:
    """Return versions and digests of what runs episodes of ``environment``, as this process found them first."""
    known = environment_of(environment)
    plugins = [module.name for module in iter_modules() if module.name.startswith(_PLUGINS)]
    simulators = _required("lerobot", extra=known.extra or environment)
    libraries = {*_LIBRARIES, *simulators, *plugins, *(name for plugin in plugins for name in _required(plugin))}
    own = Path(__file__).parent
    folders = {own, Path(str(sys.modules[type(known).__module__].__file__)).parent, own.parent / "shortcuts"}
    policies = own.parent / "policies"
    engine = [policies / "actor.py", *policies.glob("*/*.py"), *(file for one in folders for file in one.glob("*.py"))]
    code = {"engine": engine}
    code |= {plugin: _sources(plugin) for plugin in plugins}
    versions = {name: found for name in sorted(libraries) if (found := _version(name))}
    return versions | {f"code of {name}": _digest(files) for name, files in code.items()}


def _required(package: str, extra: str | None = None) -> set[str]:
    """Return the packages that ``package``, or an ``extra`` of it, asks for by name; none where it is not installed."""
    try:
        lines = requires(package) or []
    except PackageNotFoundError:
        return set()
    wanted = [line for line in lines if (f'extra == "{extra}"' in line if extra else "extra ==" not in line)]
    return {name.group() for line in wanted if (name := re.match(r"[\w.-]+", line))} - {package}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _sources(module: str) -> list[Path]:
    found = find_spec(module)
    if found is None or found.origin is None:
        return []
    return [*Path(found.origin).parent.rglob("*.py")] if found.submodule_search_locations else [Path(found.origin)]


def _digest(files: Iterable[Path]) -> str:
    """Return a short name for the files' contents, in the order of their paths."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]
