"""Frozen records as JSON."""

import json
from pathlib import Path
from typing import Any

from kedro.io.core import DatasetError as KedroDatasetError
from kedro.io.core import Version
from kedro.utils import load_obj
from kedro_datasets._typing import JSONPreview
from pydantic import BaseModel, ValidationError

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.foundation.typed import typed
from leagents_kedro.parameters.validation import faults


class RecordDataset(PublishedDataset[BaseModel, BaseModel]):
    """One record of a Pydantic ``model``, given by its dotted path, as a JSON file a version.

    Nodes get and give the record itself; a file that does not fit the model does not load.
    """

    def __init__(
        self,
        filepath: str,
        model: str,
        version: Version | None = None,
        optional: bool = False,
        metadata: dict[str, Any] | None = None,
    ):
        super().__init__(filepath, version, optional, metadata)
        self._model: type[BaseModel] = load_obj(model)

    def _read(self, path: Path) -> BaseModel:
        try:
            return self._model.model_validate_json(path.read_bytes())
        except ValidationError as error:
            told = faults(error, self._model.__name__, self._model.model_json_schema())
            raise KedroDatasetError(
                f"{path}: expected a {self._model.__name__} in JSON, got something else: {told}. The file was damaged "
                "or edited; restore it from a copy, or, where its cycle is open, delete this version: "
                f"`{typed('run')}` writes it again."
            ) from error

    def _write(self, data: BaseModel, path: Path) -> None:
        if not isinstance(data, self._model):
            raise TypeError(f"expected a {self._model.__name__}, got {type(data).__name__}")
        path.write_text(data.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def preview(self) -> JSONPreview:
        """Show the record in Kedro-Viz."""
        return JSONPreview(json.dumps(json.loads(Path(self._get_load_path()).read_text(encoding="utf-8"))))
