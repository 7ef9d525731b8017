"""What a cycle inherits is what the ledger says, whatever lies beside it."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

THREE = "--params=loop.max_cycles=3"
HALF = "--params=loop.max_cycles=1"


@pytest.fixture(scope="module")
def two_cycles(make_project):
    project = make_project()
    project.configure("gating: {verdicts: [promote]}")
    assert project.kedro("run").code == 0
    return project


@pytest.fixture
def ran(make_project, two_cycles):
    return make_project(two_cycles)


def opened(project, cycle=3):
    """What that cycle started from."""
    (row,) = [row for row in project.ledger if row["event"] == "opened" and row["cycle"] == cycle]
    return {name: version for name, version in row["pins"].items() if version != row["run_id"]}


def newest(project, name):
    return project.versions(name)[-1]


def doctor(project):
    return {finding["what"]: finding for finding in json.loads(project.kedro("loop", "doctor", "--json").output)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pipelines=seed"],
        pytest.param(["--pipelines=other"], marks=pytest.mark.slow),
        pytest.param(["--nodes=merge"], marks=pytest.mark.slow),
        ["--to-nodes=train", "--runner=ThreadRunner"],
    ],
)
def test_what_a_stage_by_hand_wrote_is_inherited_by_no_cycle_unless_adopted(ran, arguments):
    last = ran.rows[2]["run_id"]
    by_hand = ran.kedro("run", *arguments)
    assert by_hand.code == 0, by_hand.output
    assert "No cycle starts from what this run wrote" in " ".join(by_hand.output.split())
    stray = max(newest(ran, "mix.json"), newest(ran, "candidate"))
    assert stray > last
    (finding,) = [each for what, each in doctor(ran).items() if f"version {stray}" in what]
    assert f"kedro loop adopt {stray}" in finding["fix"]
    ended = ran.kedro("run", THREE)
    assert ended.code == 0, ended.output
    assert opened(ran) == {"blessed": last, "head": last, "mix": last}
    assert f"starts from blessed, head, mix of {last}" in " ".join(ended.output.split())


def test_a_person_adopts_what_a_stage_wrote(ran):
    last = ran.rows[2]["run_id"]
    ran.kedro("run", "--pipelines=other")
    stray = newest(ran, "candidate")
    adopted = ran.kedro("loop", "adopt", stray, "--by", "Ada", "--note", "it is better")
    assert adopted.code == 0, adopted.output
    row = ran.ledger[-1]
    assert (row["event"], row["pins"], row["by"], row["note"]) == ("adopted", {"head": stray}, "Ada", "it is better")
    assert ran.kedro("run", THREE).code == 0
    assert opened(ran) == {"blessed": last, "head": stray, "mix": last}
    assert not any("is in no row" in what for what in doctor(ran))


def test_only_what_is_there_is_adopted(ran):
    stray = "2030-01-31T08.00.00.000Z"
    ended = ran.kedro("loop", "adopt", stray, "--by", "Ada")
    assert ended.code == 1
    assert f"There is no version that a cycle could start from {stray!r}" in " ".join(ended.output.split())


def test_nothing_is_adopted_while_a_cycle_is_open(ran):
    assert ran.kedro("run", THREE, FAIL_IN_DECIDE="1").code == 1
    for command in (["adopt", ran.rows[0]["run_id"]], ["rebase"]):
        ended = ran.kedro("loop", *command, "--by", "Ada")
        assert ended.code == 1
        assert "Cycle 3 is open, and keeps what it started from" in " ".join(ended.output.split())


def test_a_whole_cycle_in_a_session_of_kedros_own_is_refused(project):
    script = """
from pathlib import Path
from kedro.framework.session import KedroServiceSession, KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
for session in (KedroSession, KedroServiceSession):
    try:
        with session.create(project_path=Path.cwd()) as opened:
            opened.run()
    except Exception as error:
        print(type(error).__name__, error)
"""
    told = subprocess.run([sys.executable, "-c", script], cwd=project.path, capture_output=True, text=True, check=True)
    assert told.stdout.count("LedgerError A whole cycle runs in the loop only") == 2, told.stdout + told.stderr
    assert not list(project.path.glob("data/*/*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pipelines=cycle,seed"], "A whole cycle runs in the loop only"),
        (["--load-versions=head:2020-01-31T08.00.00.000Z"], "A whole cycle runs in the loop only"),
    ],
)
def test_a_cycle_outside_of_the_loop_is_refused(ran, arguments, message):
    before = sorted(ran.path.glob("data/*/*"))
    ended = ran.kedro("run", *arguments)
    assert ended.code == 1
    assert message in " ".join(ended.output.split())
    assert sorted(ran.path.glob("data/*/*")) == before


def lose_the_mix(project):
    shutil.rmtree(project.path / "data/mix.json")


def lose_the_newest(project):
    for name in ("mix.json", "candidate", "blessed"):
        shutil.rmtree(project.path / "data" / name / newest(project, name))


def lose_the_ledger(project):
    (project.path / "data/ledger.jsonl").unlink()


def cut_the_ledger(project):
    ledger = project.path / "data/ledger.jsonl"
    ledger.write_text("".join(line + "\n" for line in ledger.read_text().splitlines()[:3]))


@pytest.mark.parametrize(
    ("damage", "message", "goes_on_from"),
    [
        (lose_the_mix, "mix: version {1}, from which the ledger has the next cycle start, is not in", None),
        pytest.param(
            lose_the_newest,
            "head: version {1}, from which the ledger has the next cycle start, is not in",
            0,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lose_the_ledger,
            "ledger: cycles that it does not know wrote the versions {0}, {1}",
            1,
            marks=pytest.mark.slow,
        ),
        (cut_the_ledger, "ledger: cycles that it does not know wrote the versions {1}", 1),
    ],
)
def test_what_is_missing_or_older_is_never_replaced_in_silence(ran, damage, message, goes_on_from):
    run_ids = [row["run_id"] for row in ran.rows if row["event"] == "opened"]
    damage(ran)
    before = sorted(ran.path.glob("data/*/*"))
    for _ in range(2):
        ended = ran.kedro("run", THREE)
        assert ended.code == 1
        assert message.format(*run_ids) in " ".join(ended.output.split()), ended.output
        assert "kedro loop rebase --by NAME" in " ".join(ended.output.split())
        assert sorted(ran.path.glob("data/*/*")) == before
    assert any(finding["severity"] == "error" for finding in doctor(ran).values())
    assert ran.kedro("loop", "rebase", "--by", "Ada").code == 0
    assert ran.kedro("run", THREE).code == 0
    after = ran.ledger[[row["event"] for row in ran.ledger].index("rebased") + 1]
    assert after["pins"]["head"] == run_ids[1 if goes_on_from is None else goes_on_from]


@pytest.mark.slow
def test_a_seed_by_hand_is_the_first_cycles_and_a_second_is_not(project):
    assert project.kedro("run", "--pipelines=seed").code == 0
    assert project.kedro("run", "--pipelines=seed").code == 0
    first, second = project.versions("mix.json")
    assert project.kedro("run", HALF).code == 0
    assert opened(project, 1)["mix"] == first < second


def test_a_mix_that_the_ledger_does_not_know_is_not_seeded_over(project):
    project.kedro("run", "--pipelines=seed")
    (project.path / "data/ledger.jsonl").unlink()
    (version,) = project.versions("mix.json")
    ended = project.kedro("run", HALF)
    assert ended.code == 1
    assert f"mix: the ledger knows of none, and there is version {version}" in " ".join(ended.output.split())
    assert project.kedro("loop", "adopt", version, "--by", "Ada").code == 0
    assert project.kedro("run", HALF).code == 0
    assert opened(project, 1)["mix"] == version


@pytest.mark.slow
def test_a_killed_seeding_is_made_good_under_its_id(project):
    for kill_at in range(1, 40):
        assert project.kedro("run", HALF, KILL_AT=str(kill_at)).code == -signal.SIGKILL
        if (project.path / "data/mix.json").exists():
            break
    assert project.kedro("run", HALF).code == 0
    assert len({*project.versions("mix.json")} - {project.rows[0]["run_id"]}) == 1


@pytest.mark.slow
def test_retention_keeps_what_is_inherited_and_counts_strays_apart(ran):
    ran.configure("retention: {keep_last: 1, keep_cited_by: []}\nloop: {max_cycles: 5}")
    first = ran.rows[0]["run_id"]
    assert ran.kedro("loop", "adopt", first, "--by", "Ada").code == 0
    for _ in range(2):
        assert ran.kedro("run", "--pipelines=other").code == 0
    strays = ran.versions("candidate")[-2:]
    assert ran.kedro("run", "--params=loop.max_cycles=2").code == 0
    left = {path.parent.name for path in ran.path.glob("data/candidate/*/candidate")}
    assert {first, strays[-1]} <= left
    assert strays[0] not in left
