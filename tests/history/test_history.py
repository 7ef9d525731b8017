import pickle
import sys

import pytest

from leagents_kedro.errors import LedgerError
from leagents_kedro.history.history import History

SCORE = {"successes": 1, "episodes": 2, "low": 0.1, "high": 0.9}
EVIDENCE = {
    "candidate": SCORE,
    "blessed": None,
    "comparison": None,
    "minimum_detectable_effect": None,
    "task_scores": {},
}


def opened(cycle, run_id=None):
    row = {"event": "opened", "cycle": cycle, "run_id": run_id or f"id-{cycle}"}
    return row | {"pins": {}, "params": {}, "code": None, "at": "2026-01-01T00:00:00+00:00"}


def closed(cycle, verdict="iterate"):
    record = {
        "plan": {"cycle": cycle, "run": 1, "rung": 0, "initial": "scratch", "training_steps": 1, "reason": ""},
        "decision": {"verdict": verdict, "reason": "", "evidence": EVIDENCE},
        "candidate_digest": "a",
        "blessed_digest": None,
        "mix_episodes": 1,
        "selected_episodes": 1,
        "evaluated_episodes": 2,
        "new_episodes": 0,
    }
    row = {"event": "closed", "cycle": cycle, "run_id": f"id-{cycle}", "seconds": 1.0, "record": record}
    return row | {"at": "2026-01-01T00:00:00+00:00"}


def cycles(*verdicts):
    return [row for cycle, verdict in enumerate(verdicts, 1) for row in (opened(cycle), closed(cycle, verdict))]


def answer(event="approved", **question):
    return {"event": event, "by": "Ada", "note": None, "at": "2026-01-01T00:00:00+00:00"} | question


def test_answers_belong_to_the_open_cycle_or_to_a_constitution():
    rows = [opened(1), answer("rejected", cycle=1), closed(1), answer(constitution="abc"), opened(2)]
    history = History.of(rows)
    assert history.answer_to(1).event == "rejected"
    assert history.answer_to(2) is None
    assert history.approved_constitutions == {"abc"}
    assert history.next_cycle == 2
    assert len(history.cycles) == 1


def abandoned(cycle):
    row = {"event": "abandoned", "cycle": cycle, "run_id": f"id-{cycle}", "by": "Ada"}
    return row | {"at": "2026-01-01T00:00:00+00:00"}


def test_an_abandoned_cycle_counts_for_nothing_but_its_number():
    rows = [*cycles("promote"), opened(2), abandoned(2), opened(3), closed(3, "stop")]
    history = History.of(rows)
    assert [record.plan.cycle for record in history.cycles] == [1, 3]
    assert [record.plan.cycle for record in history.before(3)] == [1]
    assert (history.next_cycle, history.next_run, history.open_cycle) == (4, 2, None)
    assert History.of(rows[:4]).next_cycle == 3
    assert History.of(rows[:4]).open_cycle is None
    assert history.run_ids == ("id-1", "id-2", "id-3")
    assert [cycle.abandoned is not None for cycle in history.runs[0].cycles] == [False, True, False]


def test_no_rows_are_an_empty_past():
    history = History.of([])
    assert (history.runs, history.cycles, history.open_cycle) == ((), (), None)
    assert (history.next_cycle, history.next_run) == (1, 1)


def test_stop_and_escalate_end_a_run_and_cycle_numbers_go_on():
    history = History.of(cycles("iterate", "escalate", "rollback", "promote", "stop"))
    assert [[closed.cycle for closed in run.closed] for run in history.runs] == [[1, 2], [3, 4, 5]]
    assert all(run.ended for run in history.runs)
    assert (history.next_cycle, history.next_run, history.current_run.cycles) == (6, 3, ())


def test_the_next_cycle_is_the_open_one():
    before, during = History.of(cycles("iterate")), History.of([*cycles("iterate"), opened(2)])
    assert during.open_cycle is not None
    assert (during.next_cycle, during.next_run) == (before.next_cycle, before.next_run) == (2, 1)
    assert during.cycles == before.cycles
    assert during.run_ids == ("id-1", "id-2")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([closed(1)], "Row 1"),
        ([opened(1), opened(2)], "expected 'closed' of cycle 1"),
        ([opened(2)], "expected 'opened' of cycle 1"),
        ([*cycles("stop"), closed(1)], "expected 'opened' of cycle 2"),
        ([opened(1, "other"), closed(1)], "(other)"),
        ([abandoned(1)], "Row 1"),
        ([*cycles("iterate"), abandoned(1)], "expected 'opened' of cycle 2"),
        ([opened(1), abandoned(1), closed(1)], "Row 3"),
        ([opened(1), abandoned(1), answer(cycle=1)], "not open or was answered before"),
        ([answer(cycle=1)], "not open or was answered before"),
        ([*cycles("promote"), answer(cycle=1)], "not open or was answered before"),
        ([opened(1), answer(cycle=2)], "not open or was"),
        ([opened(1), answer(cycle=1), answer(cycle=1)], "Row 3"),
        ([answer()], "to a cycle or to a constitution"),
        ([{"event": "paused"}], "Row 1 of the ledger is malformed: row.event: expected one of abandoned, adopted"),
        ([{"cycle": 1}], "resumed, seed, got 'none'. It was edited"),
        ([opened(1) | {"cycle": "one"}], "cycle"),
    ],
)
def test_rows_out_of_order_or_malformed_are_named(rows, message):
    with pytest.raises(LedgerError) as error:
        History.of(rows)
    assert message in str(error.value)


def attempt(event, cycle, device_seconds, at="2026-01-01T00:00:00+00:00"):
    return {"event": event, "cycle": cycle, "run_id": f"id-{cycle}", "device_seconds": device_seconds, "at": at}


def test_the_device_time_of_a_run_is_that_of_all_its_attempts():
    rows = [
        opened(1),
        attempt("charged", 1, 2.0),
        attempt("resumed", 1, 0.0),
        attempt("resumed", 1, 3.0, at="2026-01-02T00:00:00+00:00"),
        closed(1) | {"device_seconds": 5.0},
        opened(2),
        attempt("charged", 2, 7.0),
        abandoned(2),
        opened(3),
    ]
    history = History.of(rows)
    assert history.current_run.device_seconds == 17.0
    first, second, third = history.current_run.cycles
    assert first.began_at == "2026-01-02T00:00:00+00:00"
    assert (second.is_charged, third.is_charged) == (True, False)
    assert history.unfinished == third


@pytest.mark.parametrize("event", ["charged", "resumed"])
def test_only_the_open_cycle_is_charged(event):
    with pytest.raises(LedgerError, match=f"Row 3 of the ledger says '{event}' of cycle 1"):
        History.of([*cycles("iterate"), attempt(event, 1, 1.0)])
    with pytest.raises(LedgerError, match=f"Row 2 of the ledger says '{event}' of cycle 2"):
        History.of([opened(1), attempt(event, 2, 1.0)])


def test_a_ledger_without_device_times_is_read():
    assert History.of(cycles("iterate")).current_run.device_seconds == 0.0


def test_runs_end_with_a_decision_to_stop_or_to_escalate_whatever_is_abandoned_then():
    rows = [*cycles("iterate", "escalate"), opened(3), abandoned(3), opened(4)]
    assert [[cycle.opened.cycle for cycle in run.cycles] for run in History.of(rows).runs] == [[1, 2], [3, 4]]


def calls(function, *arguments):
    """Return how many Python functions a call comes to: what it costs, whatever the machine does meanwhile."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("verdict", ["iterate", "stop"])
def test_twice_the_cycles_cost_twice_the_work(verdict):
    def told(rows):
        history = History.of(rows)
        return history.current_run.device_seconds, history.next_cycle, history.cycles, history.before(9)

    told(cycles(verdict))
    once, twice = (calls(told, cycles(*[verdict] * number)) for number in (100, 200))
    assert once > 100
    assert twice < 2.1 * once


def test_a_history_can_be_sent_to_another_process():
    history = History.of([*cycles("promote", "stop"), opened(3)])
    assert history.cycles
    assert pickle.loads(pickle.dumps(history)) == history


def choice(**pins):
    at = "2026-01-01T00:00:00+00:00"
    return {"event": "adopted", "pins": pins, "by": "Ada", "note": None, "at": at}


def test_challenges_of_a_blessed_checkpoint_that_a_person_replaced_count_no_more():
    past = cycles("promote", "iterate")
    other = History.of([*past, choice(blessed="x", head="y"), choice(mix="z"), opened(3), closed(3), opened(4)])
    same = History.of([*past, choice(mix="z"), opened(3)])
    assert [record.plan.cycle for record in other.challenges_before(2)] == [1]
    assert other.challenges_before(3) == ()
    assert [record.plan.cycle for record in other.challenges_before(4)] == [3]
    assert [record.plan.cycle for record in same.challenges_before(3)] == [1, 2]


def test_a_second_choice_adds_to_the_first():
    history = History.of([*cycles("iterate"), choice(head="y"), choice(mix="z"), opened(2)])
    assert history.choice.pins == {"head": "y", "mix": "z"}
    assert History.of([*cycles("iterate"), choice(head="y"), opened(2), closed(2)]).choice is None
