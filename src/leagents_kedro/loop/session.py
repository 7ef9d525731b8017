"""The session that repeats the cycle; everything else it runs as Kedro does."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroServiceSession
from kedro.io import AbstractVersionedDataset, CatalogProtocol
from rich.console import Console

from leagents_kedro.datasets.versions import next_run_id, pin, versioned_datasets
from leagents_kedro.errors import AwaitingApproval, ParameterError
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.history.answers import waits_for_approval
from leagents_kedro.history.history import Closed, History, Opened
from leagents_kedro.history.status import render, summarise
from leagents_kedro.loop.approval import awaiting_cycle
from leagents_kedro.loop.provenance import changes, code_version, constitution_digest, merge_parameters, node_parameters
from leagents_kedro.loop.request import check_parameters
from leagents_kedro.loop.specs import LoopSpecs
from leagents_kedro.parameters.loop import LoopParams

logger = logging.getLogger(__name__)

_SLICES = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")
_FIXES_VERSIONS = ("run_id", "load_versions")


class CycleSession(KedroServiceSession):
    """Repeats the whole pipeline ``cycle`` until a hook gives a reason to stop; runs everything else once.

    Every cycle is one Kedro run, whose id is also the version that it saves. A cycle that was opened and not closed
    is run again under its own id: its inputs stay pinned to the versions that it started from, its nodes get the
    parameters that it was opened with, and outputs that it had published are not made twice.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._hook_manager.add_hookspecs(LoopSpecs)
        self._contexts: list[tuple[dict[str, Any] | None, KedroContext]] = []
        self._latest: CatalogProtocol | None = None

    @classmethod
    def create(cls, *args: Any, save_on_close: bool = False, **kwargs: Any) -> KedroServiceSession:
        """Create a session; ``kedro catalog`` passes ``save_on_close`` to sessions of every class."""
        return super().create(*args, **kwargs)

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
        if args or not _is_whole_cycle(request):
            if not args:
                self._check(request, request.get("pipeline_names") or ["cycle"])
            return super().run(*args, **request)
        self._check(request, ["cycle", "seed"])
        self._hook_manager.hook.before_loop(parameters=self._parameters(request))
        outputs: dict[str, Any] = {}
        started = 0
        code = code_version(self._project_path)
        with _clean_exit(), self._catalog(request)["ledger"].lock():
            try:
                while opened := self._next_cycle(request, code, started):
                    outputs = self._run_cycle(opened, request)
                    started += 1
            except AwaitingApproval as waiting:
                Console().print(f"No further cycle: {waiting}", markup=False, soft_wrap=True)
        return outputs

    def load_context(self, runtime_params: dict[str, Any] | None = None) -> KedroContext:
        """Return the project context; a run reads its configuration once, however many cycles it has."""
        for known, context in self._contexts:
            if known == runtime_params:
                return context
        context = super().load_context(runtime_params)
        self._contexts.append((runtime_params, context))
        return context

    def _next_cycle(self, request: dict[str, Any], code: str | None, started: int) -> Opened | None:
        """Return the cycle that a crash left open, or a new one, or ``None`` where a hook says to stop."""
        catalog, pipeline = self._catalog(request), pipelines["cycle"]
        parameters = self._parameters(request)
        history = History.of(catalog["ledger"].load())
        if history.open_cycle:
            if awaiting_cycle(history, catalog):
                raise AwaitingApproval(waits_for_approval(history.open_cycle.cycle))
            self._warn_of_changes(history.open_cycle, node_parameters(pipeline, parameters), code, catalog)
            return history.open_cycle
        params = LoopParams.of(parameters)
        hook = self._hook_manager.hook
        hook.between_cycles(history=history, catalog=catalog, started=started)
        if reasons := hook.repeat_run(history=history, params=params, catalog=catalog, started=started):
            Console().print(render(summarise(history), catalog["blessed"].load()))
            Console().print(f"No further cycle: {'; '.join(reasons)}", markup=False, soft_wrap=True)
            return None
        hook.before_cycle_opened(catalog=catalog)
        datasets = versioned_datasets(pipeline, catalog)
        if not catalog["mix"].exists():
            run_id = next_run_id(datasets.values(), history.run_ids)
            super().run(**_like(request, pipeline_names=["seed"], run_id=run_id))
            catalog = self._catalog(request)
            hook.before_cycle_opened(catalog=catalog)
            datasets = versioned_datasets(pipeline, catalog)
        run_id = next_run_id(datasets.values(), history.run_ids)
        opened = Opened(
            cycle=history.next_cycle,
            run_id=run_id,
            pins=pin(pipeline, datasets, run_id),
            params=node_parameters(pipeline, parameters),
            constitution=constitution_digest(catalog),
            code=code,
            at=_now(),
        )
        catalog["ledger"].save(opened.model_dump(mode="json"))
        return opened

    def _run_cycle(self, opened: Opened, request: dict[str, Any]) -> dict[str, Any]:
        """Run the cycle, or what of it is missing, and close it."""
        logger.info("Cycle %d, version %s", opened.cycle, opened.run_id)
        start = time.monotonic()
        params = request.get("runtime_params")
        if changes(opened.params, node_parameters(pipelines["cycle"], self._parameters(request))):
            params = merge_parameters(params or {}, opened.params)
        resumable = _like(
            request,
            pipeline_names=["cycle"],
            run_id=opened.run_id,
            load_versions=opened.pins,
            only_missing_outputs=True,
            runtime_params=params,
        )
        try:
            outputs = super().run(**resumable)
        except AwaitingApproval:
            raise
        except Exception:
            logger.error(
                "Cycle %d stays open; the same command goes on with it. To give it up: kedro loop abandon %d --by NAME",
                opened.cycle,
                opened.cycle,
            )
            raise
        catalog = self._catalog(request)
        closed = Closed(
            cycle=opened.cycle,
            run_id=opened.run_id,
            seconds=round(time.monotonic() - start, 3),
            at=_now(),
            record=catalog.load("cycle_record", version=opened.run_id),
        )
        catalog["ledger"].save(closed.model_dump(mode="json"))
        return outputs

    def _check(self, request: dict[str, Any], names: list[str]) -> None:
        """Check the command before anything is opened or written."""
        pipelines.set_requested(None)
        if unknown := sorted(set(names) - set(pipelines)):
            raise ParameterError(no_such("pipeline", unknown[0], pipelines))
        context = self.load_context(request.get("runtime_params"))
        check_parameters({name: pipelines[name] for name in names}, context.config_loader["parameters"])

    def _context(self, request: dict[str, Any]) -> KedroContext:
        pipelines.set_requested(["cycle"])
        context = self.load_context(request.get("runtime_params"))
        context._pipelines_to_validate = ["cycle"]
        return context

    def _catalog(self, request: dict[str, Any]) -> CatalogProtocol:
        """Return the catalog of latest versions, with what its datasets remember of an earlier look forgotten."""
        context = self._context(request)
        if self._latest is None:
            self._latest = context._get_catalog()
        for dataset in self._latest._datasets.values():
            if isinstance(dataset, AbstractVersionedDataset):
                dataset.release()
        return self._latest

    def _parameters(self, request: dict[str, Any]) -> dict[str, Any]:
        parameters: dict[str, Any] = self._context(request).config_loader["parameters"]
        return parameters

    def _warn_of_changes(
        self, opened: Opened, params: dict[str, Any], code: str | None, catalog: CatalogProtocol
    ) -> None:
        if changed := changes(opened.params, params):
            logger.warning(
                "Cycle %d goes on with the parameters that it was opened with; the next one gets the new %s",
                opened.cycle,
                ", ".join(changed),
            )
        if opened.constitution != constitution_digest(catalog):
            logger.warning("Cycle %d goes on under a constitution that changed since it was opened", opened.cycle)
        if opened.code != code:
            logger.warning("Cycle %d was opened by code %s and goes on with %s", opened.cycle, opened.code, code)


def _is_whole_cycle(request: dict[str, Any]) -> bool:
    """Whether the request is for the loop: not another pipeline, a slice, or versions chosen by hand."""
    names = request.get("pipeline_names") or ["__default__"]
    return names in (["cycle"], ["__default__"]) and not any(map(request.get, (*_SLICES, *_FIXES_VERSIONS)))


def _like(request: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return request | {"only_missing_outputs": False} | changed


@contextmanager
def _clean_exit() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process without a traceback: the ledger knows how to go on."""

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise _TerminatedError

    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = signal.SIGTERM if isinstance(interrupt, _TerminatedError) else signal.SIGINT
        Console(stderr=True).print(f"Stopped by {number.name}; run the same command to go on.", soft_wrap=True)
        raise SystemExit(128 + number) from None
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM arrived."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
