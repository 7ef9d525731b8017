"""Hooks of the loop: what ends it, and what keeps a mistyped command from starting it."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.markers import hook_spec
from kedro.io import CatalogProtocol
from omegaconf import OmegaConf
from pydantic import Field

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.history import History
from leagents_kedro.parameters import validated
from leagents_kedro.records import Record


class LoopParams(Record):
    """When the loop ends; ``null`` budgets are unlimited, and budgets count within a run."""

    run_seed: int
    max_cycles: Annotated[int, Field(ge=1)] | None
    max_wall_hours: Annotated[float, Field(gt=0)] | None
    max_gpu_hours: Annotated[float, Field(gt=0)] | None
    max_environment_episodes: Annotated[int, Field(ge=1)] | None
    max_disk_gb: Annotated[float, Field(gt=0)] | None
    on_escalate: Literal["handover", "climb"]
    after_stop: Literal["halt", "continue"]
    stop_file: str

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """Return the loop's part of the project's parameters.

        Raises:
            ParameterError: A key is unknown or missing, or its value out of range.
        """
        return validated(cls, "loop", parameters.get("loop", {}))


class LoopSpecs:
    """The hooks that Kedro lacks: before and between cycles, whether another is to be run, and whether it can be."""

    @hook_spec
    def before_loop(self, parameters: dict[str, Any]) -> None:
        """Prepare for cycles; the command was checked, nothing was read or written.

        Args:
            parameters: Those of the project.
        """

    @hook_spec
    def between_cycles(self, history: History, catalog: CatalogProtocol, started: int) -> None:
        """Tidy up while no cycle is open, before anything asks for latest versions.

        Args:
            history: The past, all of whose cycles have ended.
            catalog: Latest versions, and the parameters.
            started: Number of cycles that this command has closed.
        """

    @hook_spec
    def repeat_run(self, history: History, params: LoopParams, catalog: CatalogProtocol, started: int) -> str | None:
        """Say whether the next cycle may be opened.

        Args:
            history: The past, all of whose cycles have ended.
            params: Parameters of the loop.
            catalog: Latest versions, and the parameters.
            started: Number of cycles that this command has closed.

        Returns:
            A reason not to, or ``None``.
        """

    @hook_spec
    def before_cycle_opened(self, catalog: CatalogProtocol) -> None:
        """Check the next cycle before its parameters become its own.

        Args:
            catalog: Latest versions, and the parameters.

        Raises:
            LeAgentsError: The cycle could not run.
        """


class GateHooks:
    """End the loop where the gate's decision says so."""

    @hook_impl
    def repeat_run(self, history: History, params: LoopParams, started: int) -> str | None:
        """Give a reason after a stop, and hand over once after an escalation."""
        if not history.cycles:
            return None
        last = history.cycles[-1]
        said = f"cycle {last.plan.cycle} said {last.decision.verdict}: {last.decision.reason}"
        if last.decision.verdict == "stop" and (started or params.after_stop == "halt"):
            return f"{said}. To go on nevertheless: --params=loop.after_stop=continue"
        if last.decision.verdict == "escalate" and started and params.on_escalate == "handover":
            return f"{said}. The same command goes on with the next rung"
        return None


class StopFileHooks:
    """End the loop where a person left a stop file; relative paths start at the project."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the project is."""
        self._project_path = context.project_path

    @hook_impl
    def repeat_run(self, params: LoopParams) -> str | None:
        """Give a reason while the file is there."""
        path = self._project_path / params.stop_file
        return f"there is a stop file; to go on, delete {path}" if path.exists() else None


class RunStatusHooks:
    """Let Kedro-Viz show the last run: its hook keeps the events of all, and writes every one again after each."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self) -> None:
        """Forget the events of the run before, where that hook is in use."""
        if viz := sys.modules.get("kedro_viz.integrations.kedro.run_hooks"):
            viz.pipeline_run_hook._events.clear()


class ParameterHooks:
    """Stop a command whose ``--env`` or ``--params`` names what does not exist.

    Kedro's typed parameters find unknown keys inside a stage's parameters, but not an unknown stage.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the command against the configuration.

        Raises:
            ParameterError: The environment or a parameter is unknown.
        """
        loader = cast(OmegaConfigLoader, context.config_loader)
        if Path(loader.conf_source).is_dir():
            _check_environment(Path(loader.conf_source), loader.env or loader.default_run_env)
        base, overlay, *_ = loader._read_raw_config("parameters")
        known = {key: value for content in base.values() for key, value in _plain(content).items()}
        added = {str(file): _plain(content) for file, content in overlay.items()}
        given = loader.runtime_params or {}
        _check_kinds(added | {"--params": given}, known)
        _check_keys(given, known.keys() | {key for content in added.values() for key in content})
        LoopParams.of(loader["parameters"])


def _check_environment(conf: Path, environment: str) -> None:
    known = [path.name for path in conf.iterdir() if path.is_dir()]
    if environment not in known:
        raise ParameterError(no_such("environment", environment, known))


def _plain(content: Any) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(content))


def _check_kinds(added: Mapping[str, Mapping[str, Any]], base: Mapping[str, Any]) -> None:
    for place, content in added.items():
        for key, value in content.items():
            if isinstance(base.get(key), dict) and not isinstance(value, dict):
                raise ParameterError(
                    f"{key}: expected keys with their values, got {value!r} in {place}. Name the keys of {key} that "
                    "differ from conf/base."
                )


def _check_keys(given: Collection[str], known: Collection[str]) -> None:
    for key in sorted(set(given) - set(known)):
        raise ParameterError(no_such("parameter", key, known))
