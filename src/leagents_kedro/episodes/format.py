"""What is known of LeRobotDataset v3's form: its version, places, keys, statistics, and tolerance of time."""

from pathlib import Path

VERSION = "v3.0"

INFO_KEYS = ("codebase_version", "fps", "features", "total_episodes", "total_frames", "data_path")
"""What ``meta/info.json`` has at least."""

DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

MOMENTS = ("min", "max", "mean", "std")
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
"""Names of the statistics of a feature; of quantiles with their ranks."""

TIME_TOLERANCE_S = 1e-4
"""How far a frame may lie from the time at which it is looked up, as LeRobot has it."""

BYTES_PER_MB = 1024**2
"""Of the sizes of files in ``meta/info.json``."""


def edit_command(root: Path, operation: str, *arguments: str) -> str:
    """Return the LeRobot command that writes an edited copy of the dataset in ``root`` beside it."""
    root = root.resolve()
    return " ".join(
        [
            f"lerobot-edit-dataset --repo_id=local/{root.name} --root={root} --new_root={root}_fixed",
            f"--operation.type={operation}",
            *arguments,
        ]
    )


def convert_command(root: Path) -> str:
    """Return the LeRobot command that converts the dataset of version 2.1 in ``root``, in place."""
    root = root.resolve()
    return (
        f"python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=local/{root.name} --root={root} "
        "--push-to-hub=false (in place)"
    )
