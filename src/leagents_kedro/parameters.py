"""Parameters, checked before anything runs; faults are named as ``--params`` writes them."""

from collections.abc import Mapping
from typing import Any

from kedro.pipeline import Pipeline
from kedro.validation import TypeExtractor
from pydantic import BaseModel, ValidationError

from leagents_kedro.errors import ParameterError


def validated[Model: BaseModel](model: type[Model], name: str, values: Any) -> Model:
    """Return the parameters ``name`` as their model.

    Raises:
        ParameterError: A key is unknown or missing, or its value out of range; the message names all of them.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, (name, *fault['loc'])))}: {fault['msg']}" for fault in error.errors()]
        raise ParameterError(f"{'; '.join(faults)}. Known keys of {name}: {', '.join(model.model_fields)}") from error


def check_parameters(pipelines: Mapping[str, Pipeline], parameters: dict[str, Any]) -> None:
    """Check all parameters that nodes of ``pipelines`` take as models.

    Kedro checks them too, but tells it in the words of its machinery.

    Raises:
        ParameterError: See `validated`.
    """
    for name, model in TypeExtractor(dict(pipelines)).extract_types_from_pipelines().items():
        if name in parameters and isinstance(model, type) and issubclass(model, BaseModel):
            validated(model, name, parameters[name])
