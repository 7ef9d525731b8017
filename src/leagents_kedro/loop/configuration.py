"""The project's configuration, read from its files once."""

from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which reads the files again each time it is asked; this one remembers."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the configuration of ``key``, merged over base and environment."""
        if key not in self:
            try:
                self[key] = super().__getitem__(key)
            except MissingConfigException:
                if key != "credentials":
                    raise
                self[key] = {}  # what Kedro takes for none, which it would look for again with every catalog
        return super().__getitem__(key)
