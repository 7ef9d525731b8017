"""The limits of the loop, as a file that only people write."""

from pathlib import Path
from typing import Any, NoReturn

import yaml
from kedro.io.core import AbstractDataset

from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.datasets.places import local_path
from leagents_kedro.datasets.published import NamedErrors
from leagents_kedro.errors import ConstitutionError
from leagents_kedro.parameters.validation import validated


class ConstitutionDataset(NamedErrors, AbstractDataset[NoReturn, Constitution]):
    """A YAML file beside the parameters, but none of them: ``--params`` does not reach it.

    An environment with limits of its own overrides the catalog entry with another file.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None):
        self._filepath = Path(local_path(filepath))
        self.metadata = metadata

    def load(self) -> Constitution:
        """Return the limits.

        Raises:
            ConstitutionError: There is no file, or it is no YAML.
            ParameterError: A limit is unknown or missing, or its value out of range.
        """
        if not self._filepath.exists():
            raise ConstitutionError(
                f"There is no constitution {self._filepath}: without limits no job runs. Restore the file, or name "
                "another one in the catalog entry 'constitution'."
            )
        try:
            limits = yaml.safe_load(self._filepath.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConstitutionError(
                f"{self._filepath}: expected YAML with the limits of the loop, got something else: {error}. "
                "Correct the file, or restore it from a copy."
            ) from error
        return validated(Constitution, "constitution", limits)

    def save(self, data: NoReturn) -> None:
        """Refuse: people write the constitution, the loop obeys it."""
        raise NotImplementedError("the constitution is changed by people, in its file")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
