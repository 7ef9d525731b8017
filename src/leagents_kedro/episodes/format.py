"""What is known of LeRobotDataset v3's form: its version, places, keys, statistics, and tolerance of time."""

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

NEAREST_FRAME = 0.1
"""How far it may lie here, in frames: the clocks of recorders drift, and the nearest frame is still the one meant."""

BYTES_PER_MB = 1024**2
"""Of the sizes of files in ``meta/info.json``."""


def time_tolerance_s(fps: float) -> float:
    """Return how many seconds a frame may lie from the time at which it is looked up."""
    return max(NEAREST_FRAME / fps, TIME_TOLERANCE_S)
