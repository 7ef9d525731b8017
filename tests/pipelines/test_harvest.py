import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leagents_kedro.episodes.shards import Appended, NewEpisodes, Shards
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.parameters.demonstrations import Corrections
from leagents_kedro.pipelines.gating.nodes import publish_blessed
from leagents_kedro.pipelines.harvest.nodes import allotted, collect_demonstrations, harvest_rollouts, merge_rollouts
from leagents_kedro.records import Checkpoint, Outcome, Outcomes, Plan, Verdict
from support.datasets import METAWORLD
from support.policies import rung_of, untrained

VERDICTS = get_args(Verdict)
PLAN = Plan(cycle=2, run=1, rung=0, initial="head", training_steps=20, reason="test")


class MixOfCounts:
    """Stands for a mix by its episode counts and features alone, those of others: nothing else is looked at."""

    tasks = ("Reach a goal position", "Push and close a drawer")
    features, fps, robot_type = METAWORLD, 80, "unknown"

    def __init__(self, *counts):
        self.index = type("Index", (), {"task": np.repeat(np.arange(len(counts)), counts)})()


def outcomes(reach: int, drawer: int, episodes: int = 10) -> Outcomes:
    def of(task: str, successes: int) -> list[Outcome]:
        return [
            Outcome(task=task, seed=index, success=index < successes, sum_reward=0.0, length=1)
            for index in range(episodes)
        ]

    return Outcomes(
        protocol="p",
        environment="metaworld_state",
        candidate_digest="c",
        blessed_digest=None,
        candidate=(*of("reach-v3", reach), *of("drawer-close-v3", drawer)),
        blessed=(),
    )


HERE = Path()  # nothing is amplified


@pytest.mark.parametrize("verdict", ["iterate", "rollback", "escalate", "stop"])
def test_only_a_promotion_is_harvested(verdict, decision, checkpoint, suite, harvest, evaluation, constitution):
    blessed = checkpoint("b" * 64)
    assert harvest_rollouts(decision(verdict), blessed, PLAN, None, suite, harvest, evaluation, 0, constitution) is None


@pytest.mark.parametrize("verdict", ["iterate", "rollback", "escalate", "stop"])
def test_only_a_promotion_is_published_where_a_checkpoint_is_blessed_already(verdict, decision, checkpoint):
    candidate, blessed = checkpoint("c" * 64), checkpoint("b" * 64)
    assert publish_blessed(decision(verdict, challenger=True), candidate, blessed) is blessed
    assert publish_blessed(decision("promote", challenger=True), candidate, blessed) is candidate


def test_the_first_candidate_is_published_by_a_promotion_or_a_stop(decision, checkpoint):
    candidate = checkpoint("c" * 64)
    published = {verdict: publish_blessed(decision(verdict), candidate, None) for verdict in VERDICTS}
    assert published == dict.fromkeys(VERDICTS) | {"promote": candidate, "stop": candidate}


@pytest.fixture
def collect(decision, checkpoint, suite, demonstrations, evaluation, constitution):
    """Collect demonstrations after a cycle of this verdict; keywords are parameters of demonstrations."""

    def of(verdict: str, outcomes: Outcomes, mix: MixOfCounts, candidate: Checkpoint | None = None, **changes):
        schedule = demonstrations.model_copy(update=changes)
        given = decision(verdict), candidate or checkpoint(), outcomes, PLAN, mix, suite, schedule, evaluation
        return collect_demonstrations(*given, 0, constitution, HERE)

    return of


def counts(new: NewEpisodes | None) -> tuple[int, int]:
    """Return the episodes of each task."""
    sentences = [episode.sentence for episode in new.episodes] if new else []
    return sentences.count("Reach a goal position"), sentences.count("Push and close a drawer")


def test_failing_tasks_get_more_demonstrations_up_to_the_cap(collect):
    new = collect("iterate", outcomes(30, 7, episodes=30), MixOfCounts(3, 1), growth_per_task=2, cap_per_task=5)
    assert counts(new) == (0, 4), "all of the cycle, since the other task is solved"
    assert (new.robot_type, new.features) == ("unknown", METAWORLD), "it can follow an imported mix"
    assert all(episode.columns.keys() == METAWORLD.keys() for episode in new.episodes)
    both = collect("iterate", outcomes(18, 4, episodes=20), MixOfCounts(3, 1), growth_per_task=2, cap_per_task=5)
    assert counts(both) == (1, 3), "one may fail in up to 32%, the other in up to 94%"
    everything = {"growth_per_task": 1, "allocation": "uniform"}
    assert counts(collect("iterate", outcomes(10, 2), MixOfCounts(3, 1), **everything)) == (1, 1)
    assert collect("iterate", outcomes(9, 2), MixOfCounts(5, 6), growth_per_task=2, cap_per_task=5) is None


def test_without_evidence_all_tasks_are_alike(collect):
    assert counts(collect("iterate", outcomes(0, 0, episodes=0), MixOfCounts(1, 1), growth_per_task=1)) == (1, 1)


weighed = st.tuples(st.integers(0, 20).map(lambda twentieths: twentieths / 20), st.integers(-3, 30))


@settings(max_examples=50, deadline=None)
@given(total=st.integers(0, 60), tasks=st.dictionaries(st.sampled_from("abcdefgh"), weighed, min_size=1))
def test_what_is_allotted_is_all_there_is_room_for_in_proportion(total, tasks):
    weights = {name: weight for name, (weight, _) in tasks.items()}
    rooms = {name: room for name, (_, room) in tasks.items()}
    given = allotted(total, weights, rooms)
    wanting = [name for name in tasks if weights[name] > 0]
    assert sum(given.values()) == min(total, sum(max(0, rooms[name]) for name in wanting))
    for name in tasks:
        assert 0 <= given[name] <= max(0, rooms[name])
        assert name in wanting or not given[name]
    for one in wanting:
        for other in wanting:
            if weights[one] > weights[other] and given[one] < rooms[one]:
                assert given[one] >= given[other], "who may fail more gets no fewer"
    free = dict.fromkeys(tasks, total)
    shares = {name: total * weights[name] / sum(weights.values()) for name in wanting}
    for name, share in shares.items():
        assert abs(allotted(total, weights, free)[name] - share) <= max(1, len(tasks) / 2)
    assert list(given) == list(tasks)
    assert given == allotted(total, dict(weights), dict(rooms))


def test_what_is_left_by_a_full_task_goes_to_the_others():
    assert allotted(6, {"a": 1.0, "b": 0.5, "c": 0.0}, {"a": 1, "b": 9, "c": 9}) == {"a": 1, "b": 5, "c": 0}


def test_the_candidate_takes_turns_where_it_is_corrected(collect, tmp_path):
    candidate = untrained(rung_of(), tmp_path)
    growth = {"growth_per_task": 1, "corrections": Corrections(share=0.2, block_steps=5), "allocation": "uniform"}
    new = collect("iterate", outcomes(0, 0), MixOfCounts(1, 1), candidate, **growth)
    assert counts(new) == (1, 1)
    assert {json.loads(episode.provenance)["policy"] for episode in new.episodes} == {candidate.digest}


def test_nothing_is_collected_where_it_would_not_be_used(collect):
    assert collect("stop", outcomes(0, 0), MixOfCounts(1, 1)) is None
    assert collect("iterate", outcomes(0, 0), MixOfCounts(1, 1), source="folder", folder="somewhere") is None


def test_a_mix_without_new_episodes_is_passed_on(tmp_path, harvest):
    mix, more = Shards(tmp_path / "a"), Shards(tmp_path / "b")
    assert merge_rollouts(mix, None, None, PLAN, harvest) is mix
    assert merge_rollouts(mix, None, more, PLAN, harvest) == Appended(mix, (more,))


def test_every_so_many_cycles_the_mix_is_compacted(tmp_path, harvest):
    mix = Shards(tmp_path / "a")
    often = harvest.model_copy(update={"compact_every_cycles": 2})
    never = harvest.model_copy(update={"compact_every_cycles": None})
    cycles = [PLAN.model_copy(update={"cycle": cycle}) for cycle in range(1, 5)]
    due = [merge_rollouts(mix, None, None, plan, often) for plan in cycles]
    assert due == [mix, Appended(mix, (), compacted=True), mix, Appended(mix, (), compacted=True)]
    assert all(merge_rollouts(mix, None, None, plan, never) is mix for plan in cycles)


def test_cycles_never_share_a_demonstration_seed():
    seeds = [
        derive_seed("demonstration", 0, cycle, "reach-v3", index=index) for cycle in range(50) for index in range(50)
    ]
    assert len(set(seeds)) == len(seeds)
