"""What a command asks for: a parameter, or a part of a pipeline, that does not exist stops it before any work."""

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.validation import TypeExtractor
from omegaconf import OmegaConf
from pydantic import BaseModel

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import nearest, no_such
from leagents_kedro.loop.assignments import by_item
from leagents_kedro.loop.specs import short_name
from leagents_kedro.parameters.loop import LoopParams
from leagents_kedro.parameters.validation import validated

logger = logging.getLogger(__name__)

_RUNTIME = re.compile(r"\$\{runtime_params:\s*(\w+)")


class ParameterHooks:
    """Stop a command whose ``--env`` or ``--params`` names what does not exist.

    Kedro's typed parameters find unknown keys inside a stage's parameters, but not an unknown stage.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the command against the configuration.

        Raises:
            ParameterError: The environment or a parameter is unknown.
        """
        loader = cast(OmegaConfigLoader, context.config_loader)
        if Path(loader.conf_source).is_dir():
            _check_environment(Path(loader.conf_source), loader.env or loader.default_run_env)
        base, overlay, *_ = loader._read_raw_config("parameters")
        known = {key: value for content in base.values() for key, value in _plain(content).items()}
        added = {str(file): _plain(content) for file, content in overlay.items()}
        given = loader.runtime_params or {}
        _check_kinds(added | {"--params": given}, known)
        if given:
            merged = OmegaConf.to_container(OmegaConf.unsafe_merge(*base.values(), *overlay.values()))
            loader.runtime_params = by_item(given, merged, "")
        known_keys = known.keys() | {key for content in added.values() for key in content}
        if set(given) - known_keys:
            known_keys |= _asked_for([*base.values(), *overlay.values(), *_raw_catalog(loader)])
        _check_keys(given, known_keys)
        for file, content in added.items():
            _warn_of_misspelled(file, content.keys() - known.keys(), known)
        LoopParams.of(loader["parameters"])


def _raw_catalog(loader: OmegaConfigLoader) -> list[Any]:
    base, overlay, *_ = loader._read_raw_config("catalog")
    return [*base.values(), *overlay.values()]


def _asked_for(contents: Iterable[Any]) -> set[str]:
    """Return the parameters that files ask a command for: ``${runtime_params:name, default}``."""
    return {name for content in contents for name in _RUNTIME.findall(json.dumps(_plain(content), default=str))}


def _check_environment(conf: Path, environment: str) -> None:
    known = [path.name for path in conf.iterdir() if path.is_dir()]
    if environment not in known:
        raise ParameterError(no_such("environment", environment, known))


def _plain(content: Any) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(content))


def _warn_of_misspelled(file: str, keys: Iterable[str], known: Collection[str]) -> None:
    """Files may name parameters of their own, which others refer to; one that is spelled like another is told."""
    for key in keys:
        if meant := nearest(key, known):
            logger.warning("%s: no stage reads %r; did you mean %r?", file, key, meant)


def _check_kinds(added: Mapping[str, Mapping[str, Any]], base: Mapping[str, Any]) -> None:
    for place, content in added.items():
        for key, value in content.items():
            if isinstance(base.get(key), dict) and not isinstance(value, dict):
                raise ParameterError(
                    f"{key}: expected keys with their values, got {value!r} in {place}. Name the keys of {key} that "
                    "differ from conf/base."
                )


def _check_keys(given: Collection[str], known: Collection[str]) -> None:
    for key in sorted(set(given) - set(known)):
        raise ParameterError(no_such("parameter", key, known))


SLICES = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")
"""The arguments of a session's run that ask for a part of a pipeline."""


def is_whole(request: Mapping[str, Any], *names: str) -> bool:
    """Whether a session's run is asked for one of these pipelines, all of it and alone; it is a cycle unnamed."""
    asked = list(request.get("pipeline_names") or ["cycle"])
    return asked in [[name] for name in names] and not any(map(request.get, SLICES))


_NAMED_BY = {
    "node_names": ("--nodes", "node"),
    "from_nodes": ("--from-nodes", "node"),
    "to_nodes": ("--to-nodes", "node"),
    "from_inputs": ("--from-inputs", "catalog entry"),
    "to_outputs": ("--to-outputs", "catalog entry"),
    "tags": ("--tags", "tag"),
    "namespaces": ("--namespaces", "namespace"),
    "load_versions": ("--load-versions", "catalog entry"),
}


def check_parameters(pipelines: Mapping[str, Pipeline], parameters: dict[str, Any]) -> None:
    """Check all parameters that nodes of ``pipelines`` take as models.

    Kedro checks them too, but tells it in the words of its machinery.

    Raises:
        ParameterError: See `validated`.
    """
    for name, model in TypeExtractor(dict(pipelines)).extract_types_from_pipelines().items():
        if name in parameters and isinstance(model, type) and issubclass(model, BaseModel):
            validated(model, name, parameters[name])


def with_full_names(pipeline: Pipeline, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``request`` with nodes named as Kedro names them: ``decide`` is ``gating.decide``."""
    full_names = _full_names(pipeline)
    nodes = {
        argument: [full_names.get(name, name) for name in request[argument]]
        for argument, (_, what) in _NAMED_BY.items()
        if what == "node" and request.get(argument)
    }
    return {**request, **nodes}


def _full_names(pipeline: Pipeline) -> dict[str, str]:
    return {short_name(node): node.name for node in pipeline.nodes}


def check_slice(pipeline: Pipeline, request: Mapping[str, Any]) -> None:
    """Check the names by which a command asks for a part of ``pipeline``.

    Raises:
        ParameterError: There is no such node, catalog entry, tag, or namespace.
    """
    full_names = _full_names(pipeline)
    known = {
        "node": full_names.keys(),
        "catalog entry": pipeline.datasets(),
        "tag": {tag for node in pipeline.nodes for tag in node.tags},
        "namespace": {node.namespace for node in pipeline.nodes if node.namespace},
    }
    for argument, (option, what) in _NAMED_BY.items():
        for name in request.get(argument) or ():
            if name not in known[what] and not (what == "node" and name in full_names.values()):
                raise ParameterError(f"{option}: {no_such(what, name, known[what])}")
