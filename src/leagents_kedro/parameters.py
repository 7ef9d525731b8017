"""What a command asks for, checked before anything runs; faults are named as the command line writes them."""

from collections.abc import Mapping
from typing import Any

from kedro.pipeline import Pipeline
from kedro.validation import TypeExtractor
from pydantic import BaseModel, ValidationError

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import nearest, no_such

_SLICES = {
    "node_names": ("--nodes", "node"),
    "from_nodes": ("--from-nodes", "node"),
    "to_nodes": ("--to-nodes", "node"),
    "from_inputs": ("--from-inputs", "catalog entry"),
    "to_outputs": ("--to-outputs", "catalog entry"),
    "tags": ("--tags", "tag"),
    "namespaces": ("--namespaces", "namespace"),
    "load_versions": ("--load-versions", "catalog entry"),
}


def validated[Model: BaseModel](model: type[Model], name: str, values: Any) -> Model:
    """Return the parameters ``name`` as their model.

    Raises:
        ParameterError: A key is unknown or missing, or its value out of range; the message names all of them.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        known = ", ".join(model.model_fields)
        raise ParameterError(
            f"{faults(error, name, model.model_json_schema())}. Known keys of {name}: {known}"
        ) from error


def faults(error: ValidationError, name: str, schema: dict[str, Any]) -> str:
    """Return what is wrong with the values ``name``, in a line: each key, what was expected, what was likely meant."""
    models = [schema, *schema.get("$defs", {}).values()]
    known = {key for model in models for key in model.get("properties", {})}
    return "; ".join(_fault(fault, name, known) for fault in error.errors(include_url=False))


def check_parameters(pipelines: Mapping[str, Pipeline], parameters: dict[str, Any]) -> None:
    """Check all parameters that nodes of ``pipelines`` take as models.

    Kedro checks them too, but tells it in the words of its machinery.

    Raises:
        ParameterError: See `validated`.
    """
    for name, model in TypeExtractor(dict(pipelines)).extract_types_from_pipelines().items():
        if name in parameters and isinstance(model, type) and issubclass(model, BaseModel):
            validated(model, name, parameters[name])


def check_slice(pipeline: Pipeline, request: Mapping[str, Any]) -> None:
    """Check the names by which a command asks for a part of ``pipeline``.

    Raises:
        ParameterError: There is no such node, catalog entry, tag, or namespace.
    """
    known = {
        "node": {node.name for node in pipeline.nodes},
        "catalog entry": pipeline.datasets(),
        "tag": {tag for node in pipeline.nodes for tag in node.tags},
        "namespace": {node.namespace for node in pipeline.nodes if node.namespace},
    }
    for argument, (option, what) in _SLICES.items():
        for name in request.get(argument) or ():
            if name not in known[what]:
                raise ParameterError(f"{option}: {no_such(what, name, known[what])}")


def _fault(fault: Mapping[str, Any], name: str, known: set[str]) -> str:
    message = f"{'.'.join(map(str, (name, *fault['loc'])))}: {fault['msg']}"
    if fault["type"] == "extra_forbidden":
        meant = nearest(str(fault["loc"][-1]), known)
        return f"{message}; did you mean {meant!r}?" if meant else message
    given = fault["input"]
    return f"{message}, got {given!r}" if isinstance(given, str | int | float) else message
