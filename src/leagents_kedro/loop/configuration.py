"""The project's configuration, read from its files once."""

from pathlib import PurePosixPath
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which reads the files again each time it is asked; this one remembers.

    It knows one more resolver: ``${own:folder}`` is the folder, or that of an environment in it.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        OmegaConf.register_resolver("own", self._own, replace=True)
        super().__init__(*args, **kwargs)

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

    def _own(self, folder: str) -> str:
        """Return the folder for the environment of this command; the base and the default one share it."""
        default = self.env in {None, "", self.base_env, self.default_run_env}
        return folder if default else str(PurePosixPath(folder, str(self.env)))
