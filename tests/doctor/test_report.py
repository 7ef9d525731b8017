"""What people read of findings: one row for equal ones, and commands that can be copied."""

import json

import pytest

from leagents_kedro.doctor.report import as_json, show
from leagents_kedro.errors import EpisodesError
from leagents_kedro.foundation.findings import error, stop_at_errors, warning

MISSING = [error(f"videos/file-{number:03d}.mp4", "is missing", "copy it again") for number in range(50)]
COMMAND = "lerobot-edit-dataset " + " ".join(f"--option_{number}=value" for number in range(20))


def test_findings_that_differ_in_their_place_alone_are_one_row(capsys):
    show([*MISSING, warning("data", "is odd", "none needed")])
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count("is missing") == 1
    assert "file-000.mp4 and 49 more: is" in printed
    with pytest.raises(EpisodesError) as caught:
        stop_at_errors(MISSING, EpisodesError)
    assert str(caught.value) == "videos/file-000.mp4 and 49 more: is missing. Fix: copy it again"


def test_a_command_is_printed_in_one_line_and_once(capsys):
    found = [error(name, "is wrong", "mend a copy", COMMAND) for name in ("meta", "data")]
    show([*found, warning("data", "is odd", "mend it, too", COMMAND)])
    printed = capsys.readouterr().out
    assert printed.splitlines().count(COMMAND) == 1
    assert "mend it, too" in printed.split("Command 1:")[0]
    assert [entry["command"] for entry in json.loads(as_json(found))] == [COMMAND] * 2
