"""Commands that the project adds to ``kedro``."""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any

import click
import kedro.runner
from kedro.config import MissingConfigException
from kedro.framework.cli.catalog import catalog as kedro_catalog
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.registry import registry as kedro_registry
from kedro.framework.cli.utils import env_option
from kedro.framework.project import pipelines, settings
from kedro.io import CatalogProtocol
from kedro.io import DatasetError as KedroDatasetError
from kedro.pipeline import Pipeline
from kedro.utils import load_obj
from kedro.validation import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from yaml import YAMLError

from leagents_kedro.datasets.versions import content_of, inherited
from leagents_kedro.errors import LeAgentsError, ParameterError
from leagents_kedro.foundation.cache import cache_hint
from leagents_kedro.foundation.output import lasting_output
from leagents_kedro.foundation.packages import in_the_way
from leagents_kedro.foundation.redaction import redacted_errors
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.replay import Replayed
from leagents_kedro.history.replay import as_json as replayed_as_json
from leagents_kedro.history.replay import render as replayed_as_table
from leagents_kedro.history.replay import replay as recompute
from leagents_kedro.history.status import SHOWN, as_json, render, summarise
from leagents_kedro.loop import people
from leagents_kedro.loop.approval import awaiting_cycle
from leagents_kedro.loop.assignments import assignments
from leagents_kedro.loop.request import check_slice
from leagents_kedro.records import Outcomes

_DISK_FAULTS = (*map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)), "Not enough disk space")


def _tells_errors[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """End with code 1 and one plain message where the fault has a name; other faults keep their traceback."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with lasting_output(), redacted_errors():
                return command(*args, **kwargs)
        except (LeAgentsError, KedroDatasetError) as error:
            raise click.ClickException(str(error)) from error
        except ImportError as error:
            if found := in_the_way(error):
                raise click.ClickException(f"{error}. {found}.") from error
            raise
        except ParameterValidationError as error:
            raise click.ClickException(f"{' '.join(str(error).split())}. Correct the file in conf/.") from error
        except (MissingConfigException, YAMLError, OmegaConfBaseException) as error:
            raise click.ClickException(f"{error} Correct the file in conf/, or choose another --env.") from error
        except Exception as error:  # that of safetensors is no OSError
            full = any(fault in str(error) for fault in _DISK_FAULTS)
            if not full and not (isinstance(error, OSError) and error.filename):
                raise
            fix = "When the disk can be written" if full else "When this user can read and write there"
            raise click.ClickException(f"{error}. {fix}, the same command goes on.{cache_hint(error)}") from error

    return told


@click.group()
def cli() -> None:
    """Commands of the project."""


def _run_command() -> click.Command:
    command = copy(kedro_run)
    assert command.callback, "a command that was made by a decorator has its function"
    command.callback = _tells_errors(_checks_slice(command.callback))
    command.params = [_tells_value(option) for option in command.params]
    return command


def _tells_value(option: click.Parameter) -> click.Parameter:
    """Refuse a value in one line: Kedro ends with a traceback, or without its own message."""
    option = copy(option)
    read = _assignments if option.name == "params" else option.callback

    def told(context: click.Context, option: click.Parameter, value: Any) -> Any:
        try:
            return read(context, option, value) if read else value
        except click.UsageError:
            raise
        except click.ClickException as error:
            raise click.BadParameter(error.message, context, option) from error
        except Exception as error:
            raise click.BadParameter(f"{value!r} cannot be used: {error!r}", context, option) from error

    option.callback = told
    return option


def _assignments(context: click.Context, option: click.Parameter, value: Any) -> dict[str, Any]:
    try:
        return value if isinstance(value, dict) else assignments(value)
    except ParameterError as error:
        raise click.BadParameter(str(error), context, option) from None


def _checks_slice[R](run: Callable[..., R]) -> Callable[..., R]:
    """Refuse a runner, or a part of a pipeline, that does not exist, in words that tell what does."""

    @wraps(run)
    def checked(**options: Any) -> R:
        _check_runner(options["runner"])
        if options["pipeline"] and not options["pipelines"]:  # the old name of the option, at which Kedro warns
            options |= {"pipelines": [options["pipeline"]], "pipeline": None}
        names = options["pipelines"] or ["__default__"]
        if set(names) <= set(pipelines):  # the session tells which are not
            check_slice(sum((pipelines[name] for name in names), Pipeline([])), options)
        return run(**options)

    return checked


def _check_runner(name: str | None) -> None:
    try:
        load_obj(name or "SequentialRunner", "kedro.runner")
    except (AttributeError, ImportError, ValueError):
        runners = [
            runner for runner in kedro.runner.__all__ if runner.endswith("Runner") and runner != "AbstractRunner"
        ]
        raise ParameterError(no_such("runner", str(name), runners)) from None


def _told_group(group: click.Group, **checks: Callable[[Callable[..., Any]], Callable[..., Any]]) -> click.Group:
    """Return a group of Kedro's whose commands tell errors as ours do; some are checked first."""
    group, commands = copy(group), {name: copy(command) for name, command in group.commands.items()}
    for name, command in commands.items():
        assert command.callback, "a command that was made by a decorator has its function"
        command.callback = _tells_errors(checks[name](command.callback) if name in checks else command.callback)
    group.commands = commands
    return group


def _checks_pipeline[R](describe: Callable[..., R]) -> Callable[..., R]:
    """Refuse a pipeline that does not exist: Kedro would import it, and fail at that."""

    @wraps(describe)
    def checked(*args: Any, **options: Any) -> R:
        pipelines.set_requested(None)
        if options["name"] not in pipelines:
            raise ParameterError(no_such("pipeline", options["name"], pipelines))
        return describe(*args, **options)

    return checked


run = _run_command()  # where Kedro looks for the command of a package
cli.add_command(run)
cli.add_command(_told_group(kedro_registry, describe=_checks_pipeline))
cli.add_command(_told_group(kedro_catalog))


@cli.group()
def loop() -> None:
    """The loop that ``kedro run`` drives."""


def _on_catalog[R](command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the catalog of the configuration that its options choose, and have it tell errors."""

    @_tells_errors
    @wraps(command)
    def chosen(env: str | None, conf_source: str | None, **options: Any) -> R:
        with redirect_stdout(sys.stderr):  # Kedro logs there, and programs read the rest
            catalog = settings.SESSION_CLASS.create(env=env, conf_source=conf_source).checked_catalog()
        return command(catalog, **options)

    conf_source_option = click.option("--conf-source", help="Folder or archive to read instead of conf/.")
    return env_option(conf_source_option(chosen))


@loop.command()
@_on_catalog
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
@click.option("--all", "everything", is_flag=True, help=f"All cycles in the table, not only the last {SHOWN}.")
def status(catalog: CatalogProtocol, json_wanted: bool, everything: bool) -> None:
    """Show runs, cycles, decisions, scores with their intervals, and the blessed checkpoint.

    With --json, print a list of all runs, oldest first, each

    \b
        {"run": int, "state": "open" | "closed", "cycles": [CYCLE, ...]}

    where a run is closed by a decision to stop or to escalate, and CYCLE is

    \b
        {"number": int, "run_id": str, "state": "open" | "awaiting approval" | "closed" | "abandoned",
         "rung": int,
         "decision": "promote" | "iterate" | "escalate" | "rollback" | "stop",
         "reason": str, "candidate": SCORE, "blessed": SCORE | null, "seconds": float}

    with null for all that an open or abandoned cycle does not know, and SCORE is

    \b
        {"rate": float, "low": float, "high": float, "episodes": int}
    """  # noqa: D301 - click takes a backspace for "do not wrap"
    history = catalog["ledger"].load()
    runs = summarise(history, awaiting_cycle(history, catalog))
    if json_wanted:
        click.echo(as_json(runs))
    elif runs:
        blessed = content_of(catalog, "blessed", inherited(catalog, history)["blessed"])
        Console().print(render(runs, blessed, None if everything else SHOWN))
    else:
        click.echo("The loop has not run yet: there is no cycle in the ledger.")


def _by_and_note[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """Give a command the options by which a person says who and why."""
    by = click.option("--by", required=True, help="Who says so; the ledger keeps it.")
    note = click.option("--note", help="Why; the ledger keeps it, and a decision that follows from it.")
    return by(note(command))


@loop.command()
@_on_catalog
@click.argument("what", metavar="CYCLE|constitution")
@_by_and_note
def approve(catalog: CatalogProtocol, what: str, by: str, note: str | None) -> None:
    """Approve the promotion of a cycle that waits for it, or a changed constitution."""
    people.answer(catalog, what, "approved", by, note)
    click.echo(f"approved: {what}. `{typed('run')}` goes on.")


@loop.command()
@_on_catalog
@click.argument("cycle", metavar="CYCLE")
@_by_and_note
def reject(catalog: CatalogProtocol, cycle: str, by: str, note: str | None) -> None:
    """Reject the promotion of a cycle that waits for approval: its decision becomes iterate."""
    people.answer(catalog, cycle, "rejected", by, note)
    click.echo(f"rejected: {cycle}. `{typed('run')}` goes on.")


@loop.command()
@_on_catalog
@click.argument("cycle", metavar="CYCLE")
@_by_and_note
def abandon(catalog: CatalogProtocol, cycle: str, by: str, note: str | None) -> None:
    """Give the open cycle up: what it had published is deleted, and `kedro run` opens the next one."""
    people.abandon(catalog, cycle, by, note)
    click.echo(f"abandoned: cycle {cycle}. `{typed('run')}` opens the next one.")


@loop.command()
@_on_catalog
@click.argument("run_id", metavar="RUN_ID")
@_by_and_note
def adopt(catalog: CatalogProtocol, run_id: str, by: str, note: str | None) -> None:
    """Have the next cycle start from what a run wrote that the loop does not know: a stage run by hand."""
    pins = people.adopt(catalog, run_id, by, note)
    click.echo(f"adopted: {', '.join(pins)} of {run_id}. The next cycle starts from it.")


@loop.command()
@_on_catalog
@_by_and_note
def rebase(catalog: CatalogProtocol, by: str, note: str | None) -> None:
    """Have the next cycle start from the latest versions that are there, whatever the ledger says.

    The way on after a restored backup, or lost files, where nothing better can be restored. Versions that runs by hand
    wrote count, too.
    """
    pins = people.rebase(catalog, by, note)
    click.echo(
        f"rebased: the next cycle starts from {', '.join(f'{name} {version}' for name, version in pins.items())}."
    )


@loop.command()
@_on_catalog
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N decisions.")
def replay(catalog: CatalogProtocol, json_wanted: bool, last: int | None) -> None:
    """Recompute every decision of the ledger from its recorded outcomes; end with 1 where one is not the same.

    With --json, print a list, oldest first, of

    \b
        {"cycle": int, "run_id": str, "recorded": VERDICT, "recomputed": VERDICT | null, "differences": [str, ...]}
    """  # noqa: D301 - click takes a backspace for "do not wrap"
    decisions = _replayed(catalog, {}, last)
    _show(decisions, json_wanted)
    if any(decision.differences for decision in decisions):
        raise click.ClickException("The ledger does not follow from the recorded outcomes.")


@loop.command()
@_on_catalog
@click.option("--params", default="", callback=_assignments, help="Rules of the gate: gating.alpha_promote=0.1,...")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
def whatif(catalog: CatalogProtocol, params: dict[str, Any], json_wanted: bool) -> None:
    """Show which past decisions other rules of the gate would have changed, each on its recorded past.

    A decision that needs more episodes than were measured has no recomputation. With --json, print the list that
    `kedro loop replay --json` prints.
    """
    if stages := sorted(params.keys() - {"gating"}):
        raise ParameterError(f"Only rules of the gate can be tried on recorded outcomes: gating.*, got {stages[0]!r}.")
    decisions = _replayed(catalog, params.get("gating", {}))
    _show(decisions, json_wanted)
    if decisions and not json_wanted:
        changed = sum(decision.recomputed not in {None, decision.recorded} for decision in decisions)
        click.echo(f"{changed} of {len(decisions)} decisions would change.")


@loop.command()
@_on_catalog
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
@click.option("--all", "everything", is_flag=True, help="Read what all cycles wrote, not only the last ones.")
def doctor(catalog: CatalogProtocol, paths: tuple[Path, ...], json_wanted: bool, everything: bool) -> None:
    """Check datasets and checkpoints before anything is spent on them; end with 1 where there are errors.

    PATH is a folder with a LeRobotDataset or a checkpoint; it is held against the suite of the parameters. Without
    PATH the loop itself is checked: its ledger, the versions that the ledger names (of all but the last 20 cycles only
    whether they are there), and the mix, candidate, and blessed checkpoint that the next cycle starts from. With
    --json, print a list of

    \b
        {"severity": "error" | "warning", "where": str, "what": str, "fix": str, "command": str}
    """  # noqa: D301 - click takes a backspace for "do not wrap"
    from leagents_kedro.doctor import report
    from leagents_kedro.doctor.loop import examine_folder, examine_loop, suite_of
    from leagents_kedro.foundation.findings import has_errors

    with redirect_stdout(sys.stderr):
        found = [finding for path in paths for finding in examine_folder(path, suite_of(catalog))]
        found += [] if paths else examine_loop(catalog, everything)
    if json_wanted:
        click.echo(report.as_json(found))
    elif found:
        report.show(found)
    else:
        click.echo("Nothing was found.")
    if has_errors(found):
        raise SystemExit(1)


def _replayed(catalog: CatalogProtocol, changes: dict[str, Any], last: int | None = None) -> list[Replayed]:
    def outcomes_of(run_id: str) -> Outcomes | None:
        outcomes: Outcomes | None = content_of(catalog, "outcomes", run_id)
        return outcomes

    return recompute(catalog["ledger"].load(), outcomes_of, changes, last)


def _show(decisions: list[Replayed], json_wanted: bool) -> None:
    if json_wanted:
        click.echo(replayed_as_json(decisions))
    elif decisions:
        Console().print(replayed_as_table(decisions))
    else:
        click.echo("There is no decision in the ledger yet.")
