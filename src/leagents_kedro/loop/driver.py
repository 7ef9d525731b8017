"""The driver of the loop: five steps, each of which a kill may interrupt and the next command repeats."""

import logging
import time
from typing import Any, Protocol

from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from rich.console import Console

from leagents_kedro.datasets.history import HistoryDataset
from leagents_kedro.datasets.versions import cycle_datasets, inherited, next_run_id, pin
from leagents_kedro.doctor.inheritance import examine_inheritance
from leagents_kedro.errors import AwaitingApproval, CoverageError, LedgerError, ParameterError
from leagents_kedro.foundation.clock import now
from leagents_kedro.foundation.findings import stop_at_errors
from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.answers import waits_for_approval
from leagents_kedro.history.history import NO_VERSION, Charged, Closed, History, Opened, Resumed, Seed
from leagents_kedro.history.status import SHOWN, render, summarise
from leagents_kedro.loop.accounting import DeviceMeter, kept_seconds, uncharged_seconds
from leagents_kedro.loop.approval import awaiting_cycle
from leagents_kedro.loop.provenance import changes, constitution_digest, merge_parameters, node_parameters
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.loop import LoopParams

logger = logging.getLogger(__name__)


class Kedro(Protocol):
    """What the driver asks of the session, for one command."""

    @property
    def hook(self) -> Any:
        """Kedro's hooks, and those of `LoopSpecs`, to be called."""

    @property
    def runtime_params(self) -> dict[str, Any]:
        """The parameters that the command gives."""

    def catalog(self, load_versions: dict[str, str] | None = None) -> CatalogProtocol:
        """Return the catalog, of latest versions but for those that are given."""

    def parameters(self) -> dict[str, Any]:
        """Return the project's parameters, as the command has them."""

    def run_pipeline(self, name: str, **changed: Any) -> dict[str, Any]:
        """Run a pipeline as the command asks for it, but for what is ``changed``; return its free outputs."""


class Driver:
    """Repeats the pipeline ``cycle`` until a hook gives a reason to stop.

    Every cycle is one Kedro run, whose id is also the version that it saves. It inherits what the ledger says,
    whatever lies beside it. A cycle that was opened and not closed
    is run again under its own id: its inputs stay pinned to the versions that it started from, its nodes get the
    parameters that it was opened with, and outputs that it had published are not made twice.
    """

    def __init__(self, kedro: Kedro, meter: DeviceMeter, code: str | None):
        """Drive ``kedro``; ``meter`` is one of its hooks, ``code`` the commit that the ledger names."""
        self._kedro, self._meter, self._code = kedro, meter, code
        self._closed_here = 0

    def drive(self) -> dict[str, Any]:
        """Go on with the loop, and return the free outputs of the last cycle.

        Raises:
            LedgerError: Another process drives the loop, or the ledger is damaged.
        """
        self._kedro.hook.before_loop(parameters=self._kedro.parameters())
        outputs: dict[str, Any] = {}
        with self._ledger().lock():
            try:
                while opened := self._next():
                    start = time.monotonic()
                    outputs = self.run(opened)
                    self.close(opened, time.monotonic() - start)
            except AwaitingApproval as waiting:
                Console().print(f"No further cycle: {waiting}", markup=False, soft_wrap=True)
        return outputs

    def resume(self, history: History) -> Opened | None:
        """Return the cycle that an earlier command left open, if there is one.

        Raises:
            AwaitingApproval: Its promotion waits for a person.
        """
        cycle = history.unfinished
        if cycle is None:
            return None
        catalog, opened = self._kedro.catalog(), cycle.opened
        if awaiting_cycle(history, catalog):
            raise AwaitingApproval(waits_for_approval(opened.cycle))
        self._warn_of_changes(opened, catalog)
        seconds = uncharged_seconds(cycle, catalog)
        row = Resumed(cycle=opened.cycle, run_id=opened.run_id, device_seconds=seconds, at=now())
        catalog["ledger"].save(row)
        return opened

    def may_open(self, history: History, catalog: CatalogProtocol) -> bool:
        """Tidy up, and ask all hooks; where one gives a reason not to open another cycle, say it."""
        hook = self._kedro.hook
        hook.between_cycles(history=history, catalog=catalog, closed_here=self._closed_here)
        params = LoopParams.of(self._kedro.parameters())
        reasons = hook.repeat_run(history=history, params=params, catalog=catalog, closed_here=self._closed_here)
        if reasons:
            Console().print(render(summarise(history), catalog["blessed"].load(), last=SHOWN))
            Console().print(f"No further cycle: {'; '.join(reasons)}", markup=False, soft_wrap=True)
        return not reasons

    def open(self, history: History, catalog: CatalogProtocol) -> Opened:
        """Check the next cycle, see that there are demonstrations, and write down what the cycle starts from.

        Where there is no mix it is seeded; where tasks were added to the suite, experts demonstrate them.

        Raises:
            LedgerError: What the ledger has it start from is not there.
            LeAgentsError: The cycle could not run.
        """
        stop_at_errors(examine_inheritance(self._kedro.catalog(), history), LedgerError)
        lacking = self._lacking(catalog)
        if lacking or not catalog["mix"].exists():
            self.seed(history, inherited(catalog, history)["mix"] if lacking else None)
            history, catalog = self._past()
            self._kedro.hook.before_cycle_opened(catalog=catalog)
        run_id = self._next_run_id(history)
        opened = Opened(
            cycle=history.next_cycle,
            run_id=run_id,
            pins=pin(catalog, history, run_id),
            params=node_parameters(pipelines["cycle"], self._kedro.parameters()),
            constitution=constitution_digest(catalog),
            code=self._code,
            at=now(),
        )
        catalog["ledger"].save(opened)
        return opened

    def seed(self, history: History, base: str | None = None) -> dict[str, Any]:
        """Collect or import the demonstrations that the next cycle starts from, under the id that the ledger has.

        With a ``base``, a version of the mix, those of added tasks are appended to it.
        """
        seed = history.seed
        if seed is None or base:
            run_id = self._next_run_id(history)
            seed = Seed(run_id=run_id, pins={"mix": run_id}, base=base, at=now())
            self._kedro.catalog()["ledger"].save(seed)
        if seed.base is None:
            return self._kedro.run_pipeline("seed", run_id=seed.run_id)
        versions = {"mix": seed.base, "demonstrations": seed.run_id, "next_mix": seed.run_id}
        return self._kedro.run_pipeline(
            "supplement", run_id=seed.run_id, load_versions=versions, only_missing_outputs=True
        )

    def seed_by_hand(self) -> dict[str, Any]:
        """Seed where the ledger has no mix; what is seeded beside one is inherited by no cycle.

        Raises:
            LedgerError: Another process drives the loop, or the ledger is damaged.
        """
        with self._ledger().lock():
            history, catalog = self._past()
            if history.unfinished is None and not catalog["mix"].exists():
                return self.seed(history)
        return self._kedro.run_pipeline("seed")

    def run(self, opened: Opened) -> dict[str, Any]:
        """Run the cycle, or what of it is missing; an attempt that does not end is charged with its device time."""
        logger.info("Cycle %d begins, version %s, %s", opened.cycle, opened.run_id, _starts_from(opened))
        self._meter.reset()
        try:
            with self._meter.kept_in(kept_seconds(self._kedro.catalog())):
                return self._kedro.run_pipeline(
                    "cycle",
                    run_id=opened.run_id,
                    load_versions=opened.pins,
                    only_missing_outputs=True,
                    **self._params_of(opened),
                )
        except BaseException as end:
            if isinstance(end, Exception):
                self._check_ledger(opened)
            self._charge(opened)
            if isinstance(end, Exception) and not isinstance(end, AwaitingApproval):
                logger.error(
                    "Cycle %d stays open; the same command goes on with it. To give it up: %s",
                    opened.cycle,
                    typed(f"loop abandon {opened.cycle} --by NAME"),
                )
            raise

    def close(self, opened: Opened, seconds: float) -> None:
        """Write down that the cycle is done, and its record.

        Raises:
            LedgerError: The ledger was deleted or replaced meanwhile.
        """
        self._check_ledger(opened)
        catalog = self._kedro.catalog()
        closed = Closed(
            cycle=opened.cycle,
            run_id=opened.run_id,
            seconds=round(seconds, 3),
            device_seconds=self._meter.seconds,
            at=now(),
            record=catalog.load("cycle_record", version=opened.run_id),
        )
        catalog["ledger"].save(closed)
        self._closed_here += 1
        logger.info("Cycle %d is closed: %s, %.1f min", opened.cycle, closed.record.decision.verdict, seconds / 60)

    def _ledger(self) -> HistoryDataset:
        ledger = self._kedro.catalog()["ledger"]
        if not isinstance(ledger, HistoryDataset):
            raise ParameterError(
                f"catalog: 'ledger' should be a {HistoryDataset.__module__}.{HistoryDataset.__qualname__}, which keeps "
                f"the loop's memory, is a {type(ledger).__qualname__}: take the entry out of the environment's catalog"
            )
        return ledger

    def _check_ledger(self, opened: Opened) -> None:
        """See that the ledger still knows the cycle that is run.

        Raises:
            LedgerError: It does not: somebody deleted it, or put another in its place.
        """
        ledger = self._ledger()
        cycle = ledger.load().unfinished
        if cycle is None or cycle.opened.run_id != opened.run_id:
            raise LedgerError(
                f"{ledger.folder}: the ledger does not know cycle {opened.cycle} ({opened.run_id}), which this command "
                "runs: the folder was deleted or replaced meanwhile, as by `git clean -x`. Restore it from a copy; or "
                f"go on from what is there: {typed('run')}"
            )

    def _lacking(self, catalog: CatalogProtocol) -> bool:
        """Check the next cycle; return whether its mix lacks tasks, where experts can demonstrate them.

        Raises:
            LeAgentsError: The cycle could not run.
        """
        try:
            self._kedro.hook.before_cycle_opened(catalog=catalog)
        except CoverageError as lacking:
            given = self._kedro.parameters().get("demonstrations")
            if not given or not DemonstrationParams.model_validate(given).grows:
                raise
            logger.info("Experts demonstrate the tasks that were added: %s", lacking)
            return True
        return False

    def _next(self) -> Opened | None:
        """Return the cycle to run, if there is to be one; the ledger is read once for it."""
        history, catalog = self._past()
        return self.resume(history) or (self.open(history, catalog) if self.may_open(history, catalog) else None)

    def _past(self) -> tuple[History, CatalogProtocol]:
        """Return what the ledger says, and the catalog of the versions that the next cycle inherits by it."""
        catalog = self._kedro.catalog()
        history: History = catalog["ledger"].load()
        return history, self._kedro.catalog(inherited(catalog, history))

    def _charge(self, opened: Opened) -> None:
        """Write down what an attempt cost that did not end; where that fails, the next one does it."""
        row = Charged(cycle=opened.cycle, run_id=opened.run_id, device_seconds=self._meter.seconds, at=now())
        try:
            self._kedro.catalog()["ledger"].save(row)
        except Exception as error:
            logger.warning("The device time of this attempt could not be written down: %s", error)

    def _next_run_id(self, history: History) -> str:
        return next_run_id(cycle_datasets(self._kedro.catalog()).values(), history.versions)

    def _params_of(self, opened: Opened) -> dict[str, Any]:
        """Return the parameters of the command, where the cycle was opened with others: those of the cycle."""
        parameters = self._kedro.parameters()
        if not changes(opened.params, node_parameters(pipelines["cycle"], parameters)):
            return {}
        return {"runtime_params": merge_parameters(self._kedro.runtime_params, opened.params)}

    def _warn_of_changes(self, opened: Opened, catalog: CatalogProtocol) -> None:
        if changed := changes(opened.params, node_parameters(pipelines["cycle"], self._kedro.parameters())):
            logger.warning(
                "Cycle %d goes on with the parameters that it was opened with; the next one gets the new %s",
                opened.cycle,
                ", ".join(changed),
            )
        if opened.constitution != constitution_digest(catalog):
            logger.warning("Cycle %d goes on under a constitution that changed since it was opened", opened.cycle)
        if opened.code != self._code:
            logger.warning("Cycle %d was opened by code %s and goes on with %s", opened.cycle, opened.code, self._code)


def _starts_from(opened: Opened) -> str:
    """Tell in a line what a cycle inherits."""
    inputs = {name: version for name, version in opened.pins.items() if version != opened.run_id}
    by_version: dict[str, list[str]] = {}
    for name, version in sorted(inputs.items()):
        by_version.setdefault(version, []).append(name)
    nothing = by_version.pop(NO_VERSION, [])
    told = [f"{', '.join(names)} of {version}" for version, names in sorted(by_version.items(), reverse=True)]
    return f"starts from {'; '.join(told) or 'nothing'}" + (f" (no {', '.join(nothing)} yet)" if nothing else "")
