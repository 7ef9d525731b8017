"""What a cycle was made with: the parameters of its nodes, the limits, and the code."""

import subprocess
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from omegaconf import OmegaConf

from leagents_kedro.foundation.nested import flat

_PREFIX = "params:"


def node_parameters(pipeline: Pipeline, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the part of ``parameters`` that nodes of ``pipeline`` get, nested as it is."""
    chosen: dict[str, Any] = {}
    for name in sorted(pipeline.inputs()):
        if name.startswith(_PREFIX):
            _copy(parameters, chosen, name.removeprefix(_PREFIX).split("."))
    return chosen


def merge_parameters(parameters: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return ``parameters`` with those of ``over`` in their place, key by key at every depth."""
    merged: dict[str, Any] = OmegaConf.to_container(OmegaConf.merge(parameters, over))  # type: ignore[assignment]
    return merged


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the dotted names of parameters that are not the same in both."""
    old, new = dict(flat(before)), dict(flat(after))
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def code_version(project: Path) -> str | None:
    """Return the git commit of ``project``, with ``-dirty`` where tracked files differ; ``None`` outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def constitution_digest(catalog: CatalogProtocol) -> str | None:
    """Return the digest of the limits that jobs obey; ``None`` where the catalog has no constitution."""
    return catalog["constitution"].load().digest if "constitution" in catalog else None


def _copy(source: dict[str, Any], target: dict[str, Any], path: list[str]) -> None:
    key, *rest = path
    if not rest:
        target[key] = source[key]
    else:
        _copy(source[key], target.setdefault(key, {}), rest)
