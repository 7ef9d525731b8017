"""Kedro's session: it leaves the cycle to the driver, and runs everything else as Kedro does."""

from dataclasses import dataclass
from typing import Any, cast

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroServiceSession
from kedro.io import AbstractVersionedDataset, CatalogProtocol, DataCatalog, Version
from kedro.pipeline import Pipeline

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.output import lasting_output
from leagents_kedro.foundation.progress import on_screen
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.loop.accounting import DeviceMeter
from leagents_kedro.loop.configuration import ConfigLoader
from leagents_kedro.loop.driver import Driver
from leagents_kedro.loop.interruption import clean_exit
from leagents_kedro.loop.provenance import code_version
from leagents_kedro.loop.request import check_parameters, is_whole, with_full_names
from leagents_kedro.loop.specs import LoopSpecs

_FIXES_VERSIONS = ("run_id", "load_versions")


class CycleSession(KedroServiceSession):
    """Leaves the whole pipeline ``cycle`` to a `Driver`, which repeats it; runs everything else once."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._meter = DeviceMeter()
        self._hook_manager.add_hookspecs(LoopSpecs)
        self._hook_manager.register(self._meter)
        self._contexts: list[tuple[dict[str, Any] | None, KedroContext]] = []
        self._latest: CatalogProtocol | None = None

    @classmethod
    def create(cls, *args: Any, save_on_close: bool = False, **kwargs: Any) -> KedroServiceSession:
        """Create a session; ``kedro catalog`` passes ``save_on_close`` to sessions of every class."""
        return super().create(*args, **kwargs)

    @lasting_output()
    def run(self, *args: Any, **request: Any) -> dict[str, Any]:
        """Run what is requested once, as `KedroServiceSession.run` does; the whole cycle until a hook says to stop.

        Returns:
            The free outputs of the last run; the loop also ends where a promotion waits for a person.

        Raises:
            LedgerError: Another process drives the loop, or the ledger is damaged.
            ParameterError: A pipeline or a parameter is unknown, or a parameter out of range.
            SystemExit: The loop was interrupted, with code 130 by Ctrl-C and 143 by SIGTERM.
        """
        self._contexts.clear()
        self._latest = None
        with on_screen():
            if args:
                return super().run(*args, **request)
            free = not any(map(request.get, _FIXES_VERSIONS))
            if free and is_whole(request, "cycle", "__default__"):
                self._check(request, ["cycle", "seed"])
                driver = self._driver(request)
                with clean_exit():
                    return driver.drive()
            names = list(request.get("pipeline_names") or ["cycle"])
            self._check(request, names)
            if free and is_whole(request, "seed"):
                return self._driver(request).seed_by_hand()
            requested = sum((pipelines[name] for name in names), Pipeline([]))
            return super().run(**with_full_names(requested, request))

    def load_context(self, runtime_params: dict[str, Any] | None = None) -> KedroContext:
        """Return the project context; a run reads its configuration once, however many cycles it has."""
        for known, context in self._contexts:
            if known == runtime_params:
                return context
        context = super().load_context(runtime_params)
        if isinstance(context.config_loader, ConfigLoader):
            context.config_loader.use_logging()
        self._contexts.append((runtime_params, context))
        return context

    def checked_catalog(self) -> CatalogProtocol:
        """Return the catalog of the project, once its parameters are those that the cycle takes.

        Raises:
            ParameterError: One is unknown, or out of range.
        """
        pipelines.set_requested(None)
        self._check({}, [name for name in ("cycle", "seed") if name in pipelines])
        return self.load_context().catalog

    def _driver(self, request: dict[str, Any]) -> Driver:
        return Driver(_Command(self, request), self._meter, code_version(self._project_path))

    def _check(self, request: dict[str, Any], names: list[str]) -> None:
        """Check the command before anything is opened or written."""
        pipelines.set_requested(None)
        if unknown := sorted(set(names) - set(pipelines)):
            raise ParameterError(no_such("pipeline", unknown[0], pipelines))
        context = self.load_context(request.get("runtime_params"))
        check_parameters({name: pipelines[name] for name in names}, context.config_loader["parameters"])

    def _context(self, runtime_params: dict[str, Any] | None) -> KedroContext:
        pipelines.set_requested(["cycle"])
        context = self.load_context(runtime_params)
        context._pipelines_to_validate = ["cycle"]
        return context

    def _catalog(
        self, runtime_params: dict[str, Any] | None, load_versions: dict[str, str] | None = None
    ) -> CatalogProtocol:
        """Return the catalog, with what datasets of latest versions remember of an earlier look forgotten.

        One with ``load_versions`` shares all other datasets with it: making each anew would take the most of a cycle.
        """
        context = self._context(runtime_params)
        if self._latest is None:
            self._latest = context._get_catalog()
        for dataset in self._latest._datasets.values():
            if isinstance(dataset, AbstractVersionedDataset):
                dataset.release()
        if load_versions:
            pins = {name: Version(version, None) for name, version in load_versions.items()}
            latest = cast(DataCatalog, self._latest)
            datasets = {name: latest.get(name, version=pins.get(name)) for name in [*latest]}
            return DataCatalog({name: dataset for name, dataset in datasets.items() if dataset})
        return self._latest


@dataclass(frozen=True)
class _Command:
    """One command to a session, as the driver sees it."""

    session: CycleSession
    request: dict[str, Any]

    @property
    def hook(self) -> Any:
        return self.session._hook_manager.hook

    @property
    def runtime_params(self) -> dict[str, Any]:
        loader = self.session._context(self.request.get("runtime_params")).config_loader
        given: dict[str, Any] = loader.runtime_params or {}
        return given

    def catalog(self, load_versions: dict[str, str] | None = None) -> CatalogProtocol:
        return self.session._catalog(self.request.get("runtime_params"), load_versions)

    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = self.session._context(self.request.get("runtime_params")).config_loader[
            "parameters"
        ]
        return parameters

    def run_pipeline(self, name: str, **changed: Any) -> dict[str, Any]:
        request = self.request | {"only_missing_outputs": False, "pipeline_names": [name]} | changed
        return KedroServiceSession.run(self.session, **request)
