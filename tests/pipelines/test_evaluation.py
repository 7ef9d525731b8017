from leagents_kedro.pipelines.evaluation.nodes import _known_outcomes, paired_jobs, protocol_digest
from leagents_kedro.records import Outcome, Outcomes, Task

TASKS = [Task(name="reach-v3", sentence="Reach"), Task(name="push-v3", sentence="Push")]


def measured(protocol: str, blessed_digest: str) -> Outcomes:
    outcome = Outcome(task="reach-v3", seed=1, success=True, sum_reward=1.0, length=3)
    return Outcomes(
        environment="metaworld_state",
        protocol=protocol,
        candidate_digest="c" * 64,
        blessed_digest=blessed_digest,
        candidate=(outcome,),
        blessed=(outcome,),
    )


def test_blessed_outcomes_are_used_again_only_for_the_same_checkpoint_under_the_same_protocol(
    suite, evaluation, checkpoint
):
    protocol = protocol_digest(suite, evaluation, 0)
    blessed = checkpoint("b" * 64)
    assert _known_outcomes(measured(protocol, blessed.digest), blessed, protocol)
    assert not _known_outcomes(measured(protocol, "a" * 64), blessed, protocol)
    assert not _known_outcomes(None, blessed, protocol)
    for other in (
        protocol_digest(suite.model_copy(update={"options": {"episode_length": 100}}), evaluation, 0),
        protocol_digest(suite, evaluation.model_copy(update={"slots": 1}), 0),
        protocol_digest(suite, evaluation, 1),
    ):
        assert not _known_outcomes(measured(protocol, blessed.digest), blessed, other)


def test_pairs_are_round_robin_and_fresh_for_each_blessed_checkpoint(checkpoint):
    jobs = paired_jobs(TASKS, 6, 0, checkpoint("a" * 64))
    assert [job.task for job in jobs] == ["reach-v3", "push-v3"] * 3
    assert paired_jobs(TASKS, 4, 0, checkpoint("a" * 64)) == jobs[:4], "looks extend one list"
    assert not {job.seed for job in jobs} & {job.seed for job in paired_jobs(TASKS, 6, 0, checkpoint("b" * 64))}
    assert not {job.seed for job in jobs} & {job.seed for job in paired_jobs(TASKS, 6, 0, None)}
