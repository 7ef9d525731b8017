"""A hook that the benchmarks add to a copy of the project: how long each run reads and saves, and its CPU seconds."""

import json
import time
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

FILE = "data/datasets.jsonl"


class DatasetClock:
    """Appends a row a run to `FILE` in the working directory: {run_id, seconds, functions_cpu, cpu}.

    ``seconds`` are those of datasets; ``functions_cpu`` are CPU seconds of this process in functions of nodes, ``cpu``
    all that it has used until then.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._start = 0.0
        self._functions_cpu = 0.0
        self._function_start = 0.0

    @hook_impl(trylast=True)
    def before_dataset_loaded(self) -> None:
        """Start, after all other hooks."""
        self._start = time.perf_counter()

    @hook_impl(tryfirst=True)
    def after_dataset_loaded(self) -> None:
        """Stop, before all other hooks."""
        self._seconds += time.perf_counter() - self._start

    before_dataset_saved, after_dataset_saved = before_dataset_loaded, after_dataset_loaded

    @hook_impl(trylast=True)
    def before_node_run(self) -> None:
        """Start to count a function, after all other hooks."""
        self._function_start = time.process_time()

    @hook_impl(tryfirst=True)
    def after_node_run(self) -> None:
        """Stop, before all other hooks."""
        self._functions_cpu += time.process_time() - self._function_start

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Write the row."""
        row = {"run_id": run_params["run_id"], "seconds": self._seconds}
        row |= {"functions_cpu": self._functions_cpu, "cpu": time.process_time()}
        with Path(FILE).open("a") as file:
            file.write(json.dumps(row) + "\n")
        self._seconds = self._functions_cpu = 0.0
