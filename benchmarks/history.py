"""A past as it would be after thousands of cycles, made from the last cycle of a small loop."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kedro.io.core import VERSION_FORMAT

from leagents_kedro.foundation.files import link_file, link_tree

LARGE = {"mix", "candidate", "blessed", "rollouts", "demonstrations"}
"""Entries whose versions retention deletes."""


def lengthen(project: Path, cycles: int) -> None:
    """Let a loop between two cycles have closed ``cycles`` more: copies of its last, all but the newest retired."""
    ledger, events = project / "data" / "ledger.jsonl", project / "data" / "events.jsonl"
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    opened, closed = [[row for row in rows if row["event"] == event][-1] for event in ("opened", "closed")]
    last = opened["run_id"]
    observed = [line for line in events.read_text().splitlines() if last in line]
    ids = [_later(last, number) for number in range(1, cycles + 1)]
    with ledger.open("a") as more, events.open("a") as seen:
        for number, run_id in enumerate(ids, start=opened["cycle"] + 1):
            more.writelines(f"{json.dumps(_as_cycle(row, number, last, run_id))}\n" for row in (opened, closed))
            seen.writelines(f"{line.replace(last, run_id)}\n" for line in observed)
    _add_versions(project, last, ids)


def _later(run_id: str, milliseconds: int) -> str:
    time = datetime.strptime(run_id, VERSION_FORMAT) + timedelta(milliseconds=milliseconds)
    return f"{time.strftime(VERSION_FORMAT)[:-4]}Z"


def _as_cycle(row: dict[str, Any], number: int, last: str, run_id: str) -> dict[str, Any]:
    same = json.loads(json.dumps(row).replace(last, run_id)) | {"cycle": number}
    if "record" in same:
        same["record"]["plan"]["cycle"] = number
        same["record"]["decision"]["verdict"] = "iterate"
    return same


def _add_versions(project: Path, last: str, ids: list[str]) -> None:
    for version in [*(project / "data").glob(f"0[1-8]*/*/{last}"), *(project / "knowledge").glob(f"*/{last}.md")]:
        place = version.parent
        if place.name in LARGE:
            (place / ".retired").mkdir(exist_ok=True)
            for run_id in ids[:-1]:
                (place / ".retired" / run_id).write_text("retention.keep_last=1 let it go")
            shutil.copytree(version, place / ids[-1])
        else:
            for run_id in ids:
                link = link_tree if version.is_dir() else link_file
                link(version, place / version.name.replace(last, run_id))
