"""Pages of the wiki that the loop writes and people correct."""

from pathlib import Path, PurePath, PurePosixPath

from kedro_datasets._typing import HTMLPreview

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.foundation.redaction import redacted


class PageDataset(PublishedDataset[str, str]):
    """A Markdown page a version: ``<filepath>/<version>.md``, so that a folder of pages reads as one."""

    suffix = ".md"

    def _read(self, path: Path) -> str:
        return path.read_text(encoding="utf-8")

    def _write(self, data: str, path: Path) -> None:
        path.write_text(redacted(data), encoding="utf-8")

    def preview(self) -> HTMLPreview:
        """Show the page in Kedro-Viz, which renders Markdown itself."""
        return HTMLPreview(self._read(Path(self._get_load_path())))

    def _get_versioned_path(self, version: str) -> PurePosixPath:
        super()._get_versioned_path(version)  # refuses a version that would leave the folder
        return self._filepath / f"{version}{self.suffix}"

    def _get_version_from_path(self, path: str) -> str:
        return PurePath(path).name.removesuffix(self.suffix)
