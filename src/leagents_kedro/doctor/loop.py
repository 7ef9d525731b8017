"""The checks of the loop: its ledger, the versions that the ledger names, and what the next cycle starts from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leagents_kedro.datasets.checkpoint import CheckpointDataset, recorded_digest
from leagents_kedro.datasets.published import PublishedDataset, is_empty
from leagents_kedro.datasets.versions import NO_VERSION, inherited, version_of
from leagents_kedro.doctor.checkpoints import changed, examine_checkpoint
from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.doctor.inheritance import examine_inheritance, examine_strays
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import LeAgentsError
from leagents_kedro.foundation.findings import Finding, error, warning
from leagents_kedro.foundation.spelling import counted
from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.continuation import next_step
from leagents_kedro.history.history import Cycle, History
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.policies.checkpoints import checkpoint_digest
from leagents_kedro.policies.fit import misfit_of_step
from leagents_kedro.records import Checkpoint, Suite
from leagents_kedro.simulation.suites import resolve_suite

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol

_RESTORE = "restore the version from a copy"
_NEEDLESS = "none needed, unless that cycle is to be replayed or compared"


RECENT = 20
"""How many cycles are read where not all are asked for: the doctor, and the loop itself, read them when they were."""


def examine_loop(catalog: "CatalogProtocol", everything: bool = False) -> list[Finding]:
    """Return what is wrong with the past of the loop, and with what its next cycle starts from.

    Args:
        catalog: That of the project; an entry that it lacks is not looked at.
        everything: Whether to read the versions of all cycles; of those before the last `RECENT` they only have to be
            there otherwise.

    Raises:
        ParameterError: The suite is unknown.
    """
    try:
        history: History = catalog["ledger"].load()
    except LeAgentsError as fault:
        return [error("ledger", str(fault), "restore it from a copy, or remove the row that is named and all below it")]
    return list(dict.fromkeys([*_past(history, catalog, everything), *_present(history, catalog, suite_of(catalog))]))


def suite_of(catalog: "CatalogProtocol") -> Suite | None:
    """Return the suite of the parameters; None where they have none.

    Raises:
        ParameterError: The suite is unknown.
    """
    if "params:suite" not in catalog:
        return None
    return resolve_suite(catalog.load("params:suite"), catalog.load("params:evaluation"), catalog.load("constitution"))


def examine_folder(folder: Path, suite: Suite | None) -> list[Finding]:
    """Return what is wrong with a folder that holds a dataset or a checkpoint, told apart by what is in it."""
    if is_empty(folder):
        return []
    if any((folder / name).exists() for name in ("config.json", "pretrained_model", "model.safetensors")):
        return examine_checkpoint(folder, suite, digest=recorded_digest(folder))
    if any((folder / name).exists() for name in ("meta", "data")):
        return examine_dataset(folder, suite)
    what = "should be a LeRobotDataset (meta/info.json) or a checkpoint (config.json, or pretrained_model/ with it)"
    return [error(folder, f"{what}, is neither" if folder.is_dir() else f"{what}, is no folder", "correct the path")]


def _past(history: History, catalog: "CatalogProtocol", everything: bool) -> Iterator[Finding]:
    yield from examine_inheritance(catalog, history)
    yield from examine_strays(catalog, history)
    cycles = [cycle for run in history.runs for cycle in run.cycles]
    unread = 0 if everything else max(0, len(cycles) - RECENT)
    yield from _places(cycles[:unread], catalog)
    blessed: str | None = None
    for place, cycle in enumerate(cycles):
        if place >= unread:
            yield from _versions(cycle, catalog)
        if history.blessed_since(number := cycle.opened.cycle) == number:
            blessed = None  # a person chose it, of whatever digest
        if cycle.closed:
            candidate = cycle.closed.record.candidate_digest
            blessed = candidate if cycle.closed.record.decision.blesses else blessed
            for name, digest in (("candidate", candidate), ("next_blessed", blessed)) if place >= unread else ():
                yield from _checkpoint(name, cycle.opened.run_id, digest, catalog)


def _places(cycles: Sequence[Cycle], catalog: "CatalogProtocol") -> Iterator[Finding]:
    """What closed cycles wrote is still there, or retention deleted it; nothing is read."""
    names = dict.fromkeys(name for cycle in cycles for name in cycle.opened.pins if name in catalog)
    datasets = {name: dataset for name in names if isinstance(dataset := catalog.get(name), PublishedDataset)}
    for name, dataset in datasets.items():
        placed = dataset.placed()
        written = (
            cycle.opened for cycle in cycles if cycle.closed and cycle.opened.pins.get(name) == cycle.opened.run_id
        )
        if gone := [opened.cycle for opened in written if opened.run_id not in placed]:
            what = f"{counted(len(gone), 'version')} of cycles {gone[0]} to {gone[-1]} deleted by hand"
            yield warning(name, what, _NEEDLESS)


def _versions(cycle: Cycle, catalog: "CatalogProtocol") -> Iterator[Finding]:
    """What the open cycle reads is there; what a version holds can be read, and says what the ledger says."""
    record = cycle.closed.record if cycle.closed else None
    told = {"cycle_record": record, "plan": record.plan, "decision": record.decision} if record else {}
    gone = []
    for name, version in cycle.opened.pins.items():
        dataset = version_of(catalog, name, version)
        if dataset is None:
            continue
        if not dataset.exists():
            if cycle.end is None and version not in {NO_VERSION, cycle.opened.run_id}:
                what = f"version {version}, from which cycle {cycle.opened.cycle} was opened, is not there"
                yield error(
                    name,
                    what,
                    f"{_RESTORE}, or give the cycle up: {typed(f'loop abandon {cycle.opened.cycle} --by NAME')}",
                )
            elif cycle.closed and version == cycle.opened.run_id and not dataset.retired(version):
                gone.append(name)
            continue
        if isinstance(dataset, CheckpointDataset):  # the digest tells more, and is computed once for files in common
            continue
        where = Path(dataset._get_load_path())
        try:
            content = dataset.load()
        except Exception as fault:
            yield error(where, f"cannot be read: {fault}", _RESTORE)
            continue
        if name in told and content != told[name]:
            what = f"the ledger tells something else of cycle {cycle.opened.cycle}: one of both was edited or damaged"
            yield error(where, what, _RESTORE)
    if gone:
        what = f"{', '.join(gone)} of cycle {cycle.opened.cycle} ({cycle.opened.run_id}) were deleted by hand"
        yield warning("data", what, _NEEDLESS)


def _checkpoint(name: str, version: str, digest: str | None, catalog: "CatalogProtocol") -> Iterator[Finding]:
    """The checkpoint is the one that the ledger recorded; files that versions share are read once."""
    dataset = version_of(catalog, name, version)
    folder = Path(dataset._get_load_path(), "pretrained_model") if dataset else None
    if digest is None or folder is None or not folder.is_dir():
        return
    if (found := checkpoint_digest(folder)) != digest:
        yield changed(folder, digest, found)


def _present(history: History, catalog: "CatalogProtocol", suite: Suite | None) -> Iterator[Finding]:
    mix: Path | None = None
    there: dict[str, Checkpoint | None] = {"head": None, "blessed": None}
    versions = inherited(catalog, history)
    for name in ("mix", "blessed", "head"):
        dataset = version_of(catalog, name, versions[name]) if name in versions else None
        if dataset is None or not dataset.exists():
            continue
        try:
            start = dataset.load()
        except Exception as fault:
            yield error(name, f"version {versions[name]} cannot be read: {fault}", _RESTORE)
            continue
        if isinstance(start, Shards):
            mix = start.root
            yield from examine_dataset(mix, suite)
        if isinstance(start, Checkpoint):
            there[name] = start
            yield from examine_checkpoint(start.path, suite, mix)
    yield from _next_rung(history, catalog, there)


def _next_rung(
    history: History, catalog: "CatalogProtocol", sources: dict[str, Checkpoint | None]
) -> Iterator[Finding]:
    """The next cycle's rung can go on from the weights that it would start from."""
    if not {"params:training", "params:gating"} <= {*catalog} or not history.cycles:
        return
    training, gating = catalog.load("params:training"), catalog.load("params:gating")
    if not isinstance(training, TrainingParams) or not isinstance(gating, GatingParams):
        return  # of a project with stages of its own
    rung, initial, _ = next_step(history, sources["head"], sources["blessed"], gating.lineage)
    if initial != "scratch" and sources[initial] is None:
        return  # that it is not there is told already
    try:
        what = misfit_of_step(training, rung, initial, sources)
    except LeAgentsError as fault:
        yield error("training.ladder", str(fault), "correct the ladder")
        return
    if what and training.on_misfit == "stop":
        fix = "change it back, append it as a rung of its own, or start the rung anew: training.on_misfit: scratch"
        yield error("training.ladder", what, fix)
    elif what:
        yield warning("training.ladder", what, "none needed: the rung starts from scratch (training.on_misfit)")
