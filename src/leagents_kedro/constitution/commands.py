"""The loop's commands in the words of LeRobot's command line, for the constitution to judge."""

from collections.abc import Iterable, Iterator

from leagents_kedro.constitution.limits import Command, Constitution, violations
from leagents_kedro.errors import ConstitutionError
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.parameters.training import Rung, TrainingParams, TrainingSettings
from leagents_kedro.records import Plan, Suite


def training_command(rung: Rung, training: TrainingSettings) -> Command:
    """Return the training of one rung; without an option that says otherwise it pushes nothing to the Hub."""
    policy = {"type": rung.policy_type, "pretrained_path": rung.pretrained_path, "push_to_hub": False} | rung.options
    arguments = {"steps": rung.steps, "batch_size": training.batch_size, "policy": policy}
    if rung.schedule:
        arguments |= {"use_policy_training_preset": False, "scheduler": rung.schedule}
    return Command(program="lerobot-train", arguments=arguments)


def simulation_command(suite: Suite | SuiteParams, episodes: int) -> Command:
    """Return the simulation of at most ``episodes`` episodes, by whichever policy or expert acts in them."""
    tasks = suite.names if isinstance(suite, Suite) else suite.tasks
    environment = {"type": suite.environment, "task": ",".join(tasks)} | suite.options
    return Command(program="lerobot-eval", arguments={"env": environment, "eval": {"n_episodes": episodes}})


def planned_commands(plan: Plan, suite: Suite, training: TrainingParams) -> tuple[Command, ...]:
    """Return all that a cycle of this ``plan`` can come to ask for."""
    episodes = (plan.evaluation_episodes, plan.harvest_attempts, plan.demonstration_attempts)
    return (
        training_command(training.rung(plan.rung), training),
        *(simulation_command(suite, count) for count in episodes if count),
    )


def review(constitution: Constitution, commands: Iterable[Command]) -> None:
    """Let all ``commands`` pass, or none.

    Raises:
        ConstitutionError: At least one command breaks a limit; the message names every broken limit once.
    """
    if broken := dict.fromkeys(_broken(constitution, commands)):
        raise ConstitutionError(
            f"The plan is not allowed: {'; '.join(broken)}. Change the parameters, or conf/base/constitution.yml"
        )


def _broken(constitution: Constitution, commands: Iterable[Command]) -> Iterator[str]:
    for command in commands:
        for violation in violations(constitution, command):
            yield f"{command.program}: {violation}"
