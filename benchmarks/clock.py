"""A hook that the benchmarks add to a copy of the project: how long each run reads and saves its datasets."""

import json
import time
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

FILE = "data/datasets.jsonl"


class DatasetClock:
    """Appends a row a run, {run_id, seconds}, to `FILE` in the working directory."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._start = 0.0

    @hook_impl(trylast=True)
    def before_dataset_loaded(self) -> None:
        """Start, after all other hooks."""
        self._start = time.perf_counter()

    @hook_impl(tryfirst=True)
    def after_dataset_loaded(self) -> None:
        """Stop, before all other hooks."""
        self._seconds += time.perf_counter() - self._start

    before_dataset_saved, after_dataset_saved = before_dataset_loaded, after_dataset_loaded

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Write the row."""
        with Path(FILE).open("a") as file:
            file.write(json.dumps({"run_id": run_params["run_id"], "seconds": self._seconds}) + "\n")
        self._seconds = 0.0
