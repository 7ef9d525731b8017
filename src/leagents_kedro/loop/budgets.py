"""What ends the loop because it is spent, a small hook each; ``null`` is unlimited.

Cycles, hours, and episodes count within the current run, so that a decision to stop or to escalate starts them anew.
"""

from pathlib import Path

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from leagents_kedro.foundation.files import statuses
from leagents_kedro.history.history import History
from leagents_kedro.parameters.loop import LoopParams

_BYTES_PER_GB = 10**9


class CycleBudgetHooks:
    """``loop.max_cycles``."""

    @hook_impl
    def repeat_run(self, history: History, params: LoopParams) -> str | None:
        """Give a reason once the run has its cycles."""
        run = history.current_run
        if params.max_cycles is None or len(run.closed) < params.max_cycles:
            return None
        return f"run {run.number} has its {len(run.closed)} cycles (loop.max_cycles={params.max_cycles})"


class WallTimeBudgetHooks:
    """``loop.max_wall_hours``: the time that closed cycles took."""

    @hook_impl
    def repeat_run(self, history: History, params: LoopParams) -> str | None:
        """Give a reason once the run has its hours."""
        run = history.current_run
        most = params.max_wall_hours
        if most is None or (hours := sum(closed.seconds for closed in run.closed) / 3600) < most:
            return None
        return f"run {run.number} took {hours:.2f} h (loop.max_wall_hours={most})"


class DeviceTimeBudgetHooks:
    """``loop.max_gpu_hours``: the time of training and rollouts, killed attempts included, as the ledger has it."""

    @hook_impl
    def repeat_run(self, history: History, params: LoopParams) -> str | None:
        """Give a reason once the run has its device time."""
        run = history.current_run
        most = params.max_gpu_hours
        if most is None or (hours := run.device_seconds / 3600) < most:
            return None
        return f"run {run.number} used the device for {hours:.2f} h (loop.max_gpu_hours={most})"


class EpisodeBudgetHooks:
    """``loop.max_environment_episodes``: evaluated, harvested, and demonstrated episodes."""

    @hook_impl
    def repeat_run(self, history: History, params: LoopParams) -> str | None:
        """Give a reason once the run has its episodes."""
        run = history.current_run
        most = params.max_environment_episodes
        if most is None or (episodes := sum(closed.record.environment_episodes for closed in run.closed)) < most:
            return None
        return f"run {run.number} simulated {episodes} episodes (loop.max_environment_episodes={most})"


class DiskBudgetHooks:
    """``loop.max_disk_gb``: the size of the folder where the ledger lies."""

    @hook_impl
    def repeat_run(self, params: LoopParams, catalog: CatalogProtocol) -> str | None:
        """Give a reason while the folder is larger."""
        folder = catalog["ledger"].folder
        if params.max_disk_gb is None or (used := disk_gb(folder)) < params.max_disk_gb:
            return None
        return f"{folder} holds {used:.3g} GB (loop.max_disk_gb={params.max_disk_gb})"


def disk_gb(folder: Path) -> float:
    """Return the size of all files below ``folder`` in GB (10^9 bytes), what is hard-linked counted once."""
    sizes = {(status.st_dev, status.st_ino): status.st_size for status in statuses(folder)}
    return sum(sizes.values()) / _BYTES_PER_GB
