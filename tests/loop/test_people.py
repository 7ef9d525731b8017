"""What people tell the loop from Python, as a notebook or a service does."""

import pytest

from leagents_kedro.errors import ParameterError
from leagents_kedro.loop import people


def in_a_notebook(project, act):
    """Call ``act`` with the project's catalog."""

    def notebook() -> None:
        from kedro.framework.startup import bootstrap_project

        from leagents_kedro.loop.session import CycleSession

        bootstrap_project(project.path)
        with CycleSession.create(project_path=project.path) as session:
            act(session.load_context().catalog)

    ended = project.fork(notebook)
    assert ended.code == 0, ended.output


def test_a_promotion_is_answered(project):
    def answer_twice(catalog):
        people.answer(catalog, "1", "approved", "Ada", "looks good")
        with pytest.raises(ParameterError, match="no cycle is"):
            people.answer(catalog, "1", "rejected", "Grace")

    project.configure("gating: {approval: human, verdicts: [promote]}")
    project.kedro("run")
    in_a_notebook(project, answer_twice)
    assert [row["event"] for row in project.ledger] == ["opened", "charged", "approved"]
    assert (project.ledger[-1]["by"], project.ledger[-1]["note"]) == ("Ada", "looks good")


def test_the_open_cycle_is_given_up(project):
    def abandon(catalog):
        with pytest.raises(ParameterError, match="Cycle 2 is not open; cycle 1 is"):
            people.abandon(catalog, "2", "Ada")
        people.abandon(catalog, "1", "Ada", "it diverges")

    project.kedro("run", FAIL_IN_DECIDE="1")
    in_a_notebook(project, abandon)
    assert [row["event"] for row in project.ledger] == ["opened", "charged", "abandoned"]
    assert (project.ledger[-1]["by"], project.ledger[-1]["note"]) == ("Ada", "it diverges")
