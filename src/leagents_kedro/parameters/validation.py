"""What a command asks for, checked before anything runs; faults are named as the command line writes them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import nearest


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
    told = error.errors(include_url=False)
    places = [fault["loc"] for fault in told]
    # Of a list whose items have faults, pydantic says that it is too short, too.
    inner = {place[:depth] for place in places for depth in range(len(place))}
    return "; ".join(_fault(fault, name, known) for fault in told if fault["loc"] not in inner)


def _fault(fault: Mapping[str, Any], name: str, known: set[str]) -> str:
    message = f"{'.'.join(map(str, (name, *fault['loc'])))}: {fault['msg']}"
    if fault["type"] == "extra_forbidden":
        meant = nearest(str(fault["loc"][-1]), known)
        return f"{message}; did you mean {meant!r}?" if meant else message
    given = fault["input"]
    return f"{message}, got {given!r}" if isinstance(given, str | int | float) else message
