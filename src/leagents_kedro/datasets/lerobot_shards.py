"""The growing training set, and other datasets of episodes."""

from pathlib import Path

import numpy as np
from kedro_datasets._typing import TablePreview

from leagents_kedro.datasets.published import PublishedDataset, is_empty, make_empty
from leagents_kedro.episodes.compaction import compact_dataset
from leagents_kedro.episodes.shards import Appended, Imported, NewEpisodes, Shards
from leagents_kedro.episodes.writing import append_datasets, import_dataset, write_episodes


class LeRobotShards(PublishedDataset[NewEpisodes | Appended | Imported | Shards | None, Shards | None]):
    """A LeRobotDataset v3 a version, as ``lerobot-train --dataset.root=...`` opens it.

    Saving writes new episodes, appends datasets to one and compacts it, or takes over another. What another version of
    this entry holds is hard-linked; a folder from elsewhere is copied, since its owner may edit it in place.
    No episodes are a version too: a folder with an ``EMPTY`` file, since a LeRobotDataset cannot be empty.
    """

    def preview(self) -> TablePreview:
        """Show Kedro-Viz how much there is, in all and of each task."""
        shards = self._read(Path(self._get_load_path()))
        if shards is None:
            return TablePreview({"index": [0], "columns": ["dataset", "value"], "data": [["episodes", 0]]})
        counts = np.bincount(shards.index.task, minlength=len(shards.tasks)).tolist()
        rows = [
            ["episodes", shards.total_episodes],
            ["frames", shards.total_frames],
            ["frames a second", shards.fps],
            *([f"episodes: {task}", count] for task, count in zip(shards.tasks, counts, strict=True)),
        ]
        return TablePreview({"index": list(range(len(rows))), "columns": ["dataset", "value"], "data": rows})

    def _read(self, path: Path) -> Shards | None:
        return None if is_empty(path) else Shards(path)

    def _write(self, data: NewEpisodes | Appended | Imported | Shards | None, path: Path) -> None:
        match data:
            case None | NewEpisodes(episodes=()):
                make_empty(path)
            case NewEpisodes(episodes, features, fps, robot_type):
                write_episodes(path, episodes, features, fps, robot_type)
            case Appended(base, additions, compacted):
                append_datasets(base, additions, path)
                if compacted:
                    compact_dataset(path)
            case Imported(source, features):
                import_dataset(source.root, path, features, shares_files=False)
            case Shards(root):
                published = Path(self._filepath).resolve() in root.resolve().parents
                import_dataset(root, path, shares_files=published)
