import json

import pytest
from kedro.io import DataCatalog

from leagents_kedro.errors import LedgerError
from leagents_kedro.history.history import Abandoned, Answer, Charged, History, Opened, Resumed

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


def test_rows_out_of_order_are_named_by_their_own_error(catalog):
    catalog.save("ledger", Abandoned(**CYCLE, by="Ada"))
    with pytest.raises(LedgerError, match="Row 1 of the ledger says 'abandoned' of cycle 1"):
        catalog.load("ledger")
