"""The loop's jobs in the words of LeRobot's command line, for the constitution to judge."""

from collections.abc import Iterable, Iterator

from leagents_kedro.constitution.limits import Constitution, Job, violations
from leagents_kedro.errors import ConstitutionError
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.parameters.training import Rung, TrainingSettings


def training_job(rung: Rung, training: TrainingSettings) -> Job:
    """Return the training of one rung; without an option that says otherwise it pushes nothing to the Hub."""
    policy = {"type": rung.policy_type, "pretrained_path": rung.pretrained_path, "push_to_hub": False} | rung.options
    return Job(
        command="lerobot-train",
        arguments={"steps": rung.steps, "batch_size": training.batch_size, "policy": policy},
    )


def simulation_job(suite: SuiteParams, episodes: int) -> Job:
    """Return the simulation of at most ``episodes`` episodes, by whichever policy or expert acts in them."""
    environment = {"type": suite.environment, "task": ",".join(suite.tasks)} | suite.options
    return Job(command="lerobot-eval", arguments={"env": environment, "eval": {"n_episodes": episodes}})


def review(constitution: Constitution, jobs: Iterable[Job]) -> None:
    """Let all ``jobs`` pass, or none.

    Raises:
        ConstitutionError: At least one job breaks a limit; the message names every broken limit once.
    """
    if broken := dict.fromkeys(_broken(constitution, jobs)):
        raise ConstitutionError(
            f"The plan is not allowed: {'; '.join(broken)}. Change the parameters, or conf/base/constitution.yml"
        )


def _broken(constitution: Constitution, jobs: Iterable[Job]) -> Iterator[str]:
    for job in jobs:
        for violation in violations(constitution, job):
            yield f"{job.command}: {violation}"
