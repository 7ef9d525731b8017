"""The project's configuration, read from its files once, wherever they are."""

import re
import shutil
import tarfile
import zipfile
from glob import has_magic
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.project import LOGGING
from kedro.utils import find_kedro_project
from omegaconf import DictConfig, OmegaConf

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.typed import use_options
from leagents_kedro.loop.assignments import reads_as_name

_CONF = "conf"
_SUFFIXES = {".yml", ".yaml", ".json"}


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which reads the files again each time it is asked; this one remembers.

    It knows one more resolver: ``${own:folder}`` is the folder, or that of an environment in it. A ``filepath`` of the
    catalog below ``conf/`` is in the configuration that the command reads, so that ``--conf-source`` brings its own
    constitution. Archives are unpacked. A revision such as 12e4567, or 007, is text and no number.
    """

    def __init__(self, conf_source: str | Path, *args: Any, **kwargs: Any):
        """Find the configuration, and read the globals.

        Raises:
            ParameterError: There is none at ``conf_source``, or its archive is damaged.
        """
        OmegaConf.register_resolver("own", self._own, replace=True)
        base, local = kwargs.get("base_env") or "base", kwargs.get("default_run_env") or "base"
        folder = self._folder(str(conf_source), base)
        if "://" not in folder:
            _check_files(Path(folder))
            if not Path(folder, local).is_dir():  # it is not tracked, and not in archives
                kwargs["default_run_env"] = base
        super().__init__(folder, *args, **kwargs)
        given = _given(str(conf_source))
        use_options(env=None if self._is_default else self.env, conf_source=given)
        self.logging = Path(folder, "logging.yml") if given else None
        """What `use_logging` reads: Kedro has read that of the project."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the configuration of ``key``, merged over base and environment."""
        if key not in self:
            try:
                self[key] = super().__getitem__(key)
            except MissingConfigException:
                if key != "credentials":
                    raise
                self[key] = {}  # what Kedro takes for none, which it would look for again with every catalog
            if key == "catalog":
                self[key] = {name: self._in_source(entry) for name, entry in self[key].items()}
        return super().__getitem__(key)

    def use_logging(self) -> None:
        """Log as the configuration says, where it is not the project's own.

        Raises:
            ParameterError: Its ``logging.yml`` is damaged.
        """
        if self.logging and self.logging.is_file():
            try:
                LOGGING.configure(yaml.safe_load(self.logging.read_text(encoding="utf-8")))
            except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
                raise ParameterError(f"{self.logging}: expected Python's logging configuration, got {error}") from error
            self.logging = None

    @property
    def _is_remote(self) -> bool:
        return "://" in str(self.conf_source)

    def _folder(self, source: str, base: str) -> str:
        """Return the folder of a configuration: that of an archive is there for as long as this loader is in use."""
        if "://" in source:
            return source  # Kedro reads it
        folder = Path(source)
        if folder.is_file() or has_magic(source):
            self._temporary = TemporaryDirectory(prefix="conf-")
            folder = _unpacked(folder, Path(self._temporary.name))
        if (folder / base).is_dir():
            return str(folder)
        inner = [path for path in folder.glob("*/") if (path / base).is_dir()]
        if folder != Path(source) and len(inner) == 1:
            return str(inner[0])
        fix = (
            "Correct --conf-source" if _given(source) else "Copy conf/ of the project there, or name it: --conf-source"
        )
        raise ParameterError(
            f"{source}: expected a folder, or an archive of one, with the default in {base}/, as conf/ is, got "
            f"{'none there' if folder.exists() else 'no such path'}. {fix}."
        )

    def _in_source(self, entry: Any) -> Any:
        if not isinstance(entry, dict) or not isinstance(entry.get("filepath"), str):
            return entry
        first, *rest = PurePosixPath(entry["filepath"]).parts or ("",)
        source = self.conf_source if self._is_remote else str(Path(self.conf_source).absolute())
        return entry | {"filepath": "/".join((str(source), *rest))} if first == _CONF else entry

    def _read_raw_config(self, key: str) -> tuple[dict[Path, DictConfig], dict[Path, DictConfig], str, str, set[Path]]:
        try:
            raw = super()._read_raw_config(key)
        except AttributeError as error:
            raise ParameterError(f"{self.conf_source}: a {key} file holds a list, expected keys and values") from error
        except yaml.YAMLError as error:
            raise ParameterError(f"{_in_its_file(error, str(self.conf_source))} Correct the file.") from error
        except ValueError as error:
            raise ParameterError(f"{error}. An environment names each key once: delete one of them.") from error
        if key == "parameters" and not self._is_remote:
            for path, content in (raw[0] | raw[1]).items():
                text = path.read_text(encoding="utf-8")
                if _NUMBER_OR_NAME.search(text):
                    _keep_names(content, yaml.BaseLoader(text).get_single_data())
        return raw

    def _own(self, folder: str) -> str:
        """Return the folder for the environment of this command; the base and the default one share it."""
        return folder if self._is_default else str(PurePosixPath(folder, str(self.env)))

    @property
    def _is_default(self) -> bool:
        return self.env in {None, "", self.base_env, self.default_run_env}


_NUMBER_OR_NAME = re.compile(r"[\s\[]0\d|\de\d")


def _given(source: str) -> str | None:
    """Return where a configuration is that is not the project's own."""
    own = (find_kedro_project(Path.cwd()) or Path.cwd()) / _CONF
    place = source if "://" in source else str(Path(source).absolute())
    return None if place == str(own.absolute()) else place


def _check_files(conf: Path) -> None:
    """Refuse a file that Kedro would leave out, or could not read.

    Raises:
        ParameterError: A link leads nowhere, or a file is no text.
    """
    for path in (path for path in conf.rglob("*") if path.suffix in _SUFFIXES):
        if path.is_symlink() and not path.exists():
            raise ParameterError(
                f"{path}: this link leads to {path.readlink()}, which is not there. Mend or delete it."
            )
        try:
            if path.is_file():
                path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ParameterError(f"{path}: expected text in UTF-8, got something else: {error}. Save it so.") from error


def _in_its_file(error: yaml.YAMLError, conf: str) -> str:
    """Return what is wrong with a file, and with which: of a key that stands twice, Kedro does not tell."""
    for path in sorted(path for path in Path(conf).rglob("*") if path.suffix in _SUFFIXES):
        try:
            OmegaConf.load(path)
        except yaml.MarkedYAMLError as fault:
            place = f", line {fault.problem_mark.line + 1}" if fault.problem_mark else ""
            return f"{path}{place}: {fault.problem or fault.context}."
        except (OSError, ValueError):
            continue
    return str(error)


def _unpacked(archive: Path, folder: Path) -> Path:
    """Return the content of ``archive`` below ``folder``; a folder is linked: Kedro takes [1] for a pattern."""
    if not archive.is_file():
        (folder / _CONF).symlink_to(archive.absolute())
        return folder / _CONF
    try:
        shutil.unpack_archive(archive, folder, filter=None if archive.suffix == ".zip" else "data")
    except (shutil.ReadError, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ParameterError(
            f"{archive}: expected a configuration as a zip or tar archive (.zip, .tar, .tar.gz, .tgz, ...), got "
            f"something else: {error}. Make it anew, or name the folder."
        ) from error
    return folder


def _keep_names(content: Any, written: Any) -> None:
    """Put back the text of what was read as a number and is rather a name."""
    keys = list(content) if isinstance(content, DictConfig) else range(len(content))
    for key in keys:
        spelled = written.get(str(key)) if isinstance(written, dict) else written[key]
        if isinstance(spelled, dict | list):
            _keep_names(content[key], spelled)
        elif isinstance(spelled, str) and reads_as_name(spelled) and not isinstance(content[key], str):
            content[key] = spelled
