from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from leagents_kedro.episodes.shards import Appended, Shards
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.pipelines.gating.nodes import publish_blessed
from leagents_kedro.pipelines.harvest.nodes import collect_demonstrations, harvest_rollouts, merge_rollouts
from leagents_kedro.records import Outcome, Outcomes, Plan, Verdict
from support.datasets import METAWORLD

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


def test_failing_tasks_get_more_demonstrations_up_to_the_cap(decision, suite, demonstrations, evaluation, constitution):
    schedule = demonstrations.model_copy(update={"growth_per_task": 1, "failing_factor": 2, "cap_per_task": 4})
    new = collect_demonstrations(
        decision("iterate"),
        outcomes(9, 2),
        PLAN,
        MixOfCounts(3, 1),
        suite,
        schedule,
        evaluation,
        0,
        constitution,
        HERE,
    )
    assert [episode.sentence for episode in new.episodes].count("Reach a goal position") == 1
    assert [episode.sentence for episode in new.episodes].count("Push and close a drawer") == 2
    assert (new.robot_type, new.features) == ("unknown", METAWORLD), "it can follow an imported mix"
    assert all(episode.columns.keys() == METAWORLD.keys() for episode in new.episodes)
    full = collect_demonstrations(
        decision("iterate"),
        outcomes(9, 2),
        PLAN,
        MixOfCounts(4, 5),
        suite,
        schedule,
        evaluation,
        0,
        constitution,
        HERE,
    )
    assert full is None


def test_nothing_is_collected_where_it_would_not_be_used(decision, suite, demonstrations, evaluation, constitution):
    imported = demonstrations.model_copy(update={"source": "folder", "folder": "somewhere"})
    for verdict, schedule in (("stop", demonstrations), ("iterate", imported)):
        assert (
            collect_demonstrations(
                decision(verdict),
                outcomes(0, 0),
                PLAN,
                MixOfCounts(1, 1),
                suite,
                schedule,
                evaluation,
                0,
                constitution,
                HERE,
            )
            is None
        )


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
