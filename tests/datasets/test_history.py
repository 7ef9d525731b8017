import json

import pytest
from kedro.io import DataCatalog

from leagents_kedro.errors import LedgerError
from leagents_kedro.history.history import Abandoned, Answer, Charged, History, Opened, Resumed
from support.openings import openings

AT = "2026-01-01T00:00:00+00:00"
CYCLE = {"cycle": 1, "run_id": "id-1", "at": AT}
OPENED = Opened(**CYCLE, pins={"mix": "none"}, params={}, code=None)


@pytest.fixture
def catalog(tmp_path):
    entry = {"type": "leagents_kedro.datasets.history.HistoryDataset", "filepath": str(tmp_path / "ledger.jsonl")}
    return DataCatalog.from_config({"ledger": entry})


def test_typed_rows_come_back_as_the_history_that_they_tell(catalog):
    assert catalog.load("ledger") == History(())
    rows = [
        OPENED,
        Charged(**CYCLE, device_seconds=2.0),
        Resumed(**CYCLE, device_seconds=1.0),
        Answer(event="approved", cycle=1, by="Ada", at=AT),
        Abandoned(**CYCLE, by="Ada"),
    ]
    for row in rows:
        catalog.save("ledger", row)
    history = catalog.load("ledger")
    (cycle,) = history.current_run.cycles
    assert (cycle.opened, *cycle.attempts, cycle.answer, cycle.end) == tuple(rows)
    assert (history.current_run.device_seconds, history.next_cycle) == (3.0, 2)


@pytest.mark.parametrize("question", [{"cycle": 1}, {"constitution": "abc"}])
def test_an_answer_is_written_without_the_question_that_it_does_not_answer(catalog, tmp_path, question):
    catalog.save("ledger", OPENED)
    catalog.save("ledger", Answer(event="approved", by="Ada", at=AT, **question))
    written = json.loads((tmp_path / "ledger.jsonl").read_text().splitlines()[-1])
    assert written == {"event": "approved", "by": "Ada", "note": None, "at": AT} | question


def test_rows_out_of_order_are_named_by_their_own_error(catalog, tmp_path):
    with pytest.raises(LedgerError, match="Row 1 of the ledger says 'abandoned' of cycle 1"):
        catalog.save("ledger", Abandoned(**CYCLE, by="Ada"))
    assert catalog.load("ledger") == History()
    (tmp_path / "ledger.jsonl").write_text(Abandoned(**CYCLE, by="Ada").model_dump_json() + "\n")
    with pytest.raises(LedgerError, match="Row 1 of the ledger says 'abandoned' of cycle 1"):
        catalog.load("ledger")


def test_what_this_process_read_or_wrote_is_not_read_again_unless_it_was_changed(catalog, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    with openings() as opened:
        for row in (OPENED, Charged(**CYCLE, device_seconds=2.0), Resumed(**CYCLE, device_seconds=1.0)):
            catalog.save("ledger", row)
            assert catalog.load("ledger") is catalog.load("ledger")
    assert str(ledger) not in opened
    told = catalog.load("ledger")
    assert told.unfinished.device_seconds == 3.0

    lines = ledger.read_text()
    ledger.write_text(lines.replace("2.0", "5.0"))
    assert catalog.load("ledger").unfinished.device_seconds == 6.0
    ledger.write_text(lines + '{"event": "cut sho')
    assert catalog.load("ledger") == told
    catalog.save("ledger", Abandoned(**CYCLE, by="Ada"))
    ledger.write_bytes(ledger.read_bytes())
    assert catalog.load("ledger").next_cycle == 2
