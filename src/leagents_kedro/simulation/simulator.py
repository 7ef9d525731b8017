"""Where the episodes of a suite are run: in worker processes, or in this one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.policies.actor import PolicyFile
from leagents_kedro.policies.checkpoints import resolve_device
from leagents_kedro.records import Checkpoint, Suite
from leagents_kedro.simulation import workers
from leagents_kedro.simulation.corrections import Correction
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.station import (
    ExpertRequest,
    FramesRequest,
    PolicyRequest,
    Progress,
    Rollout,
    Scene,
    Station,
    SuiteRequest,
)

_station = Station()  # of this process


@dataclass(frozen=True)
class Simulator:
    """The environments of a suite; neither ``workers`` nor ``episode_timeout_s`` change what comes of an episode.

    ``workers`` processes share the work, ``auto`` as many as there are cores to use, or as memory allows. One runs here
    unless there is an ``episode_timeout_s``: what hangs can be ended only with its process. `workers` says how faults
    are met.
    """

    environment: str
    options: dict[str, Any]
    workers: int | Literal["auto"]
    episode_timeout_s: float | None
    shortcuts: bool = True
    sentences: dict[str, str] = field(default_factory=dict)

    def roll_out(
        self,
        policy: PolicyFile,
        trials: Sequence[Trial],
        *,
        slots: int,
        keep_episodes: bool = False,
        progress: Progress | None = None,
    ) -> list[Rollout]:
        """Return what came of each trial, in their order, with its episode if it succeeded and ``keep_episodes``.

        An accelerator is used by one process. ``progress`` is told the number of episodes done, and of successes.

        Raises:
            CheckpointError: ``policy`` is no LeRobot checkpoint.
            SimulationError: The policy or an environment failed, hung, or broke its contract; names the episode.
        """
        request = PolicyRequest(
            self.environment, self.options, self.shortcuts, self.sentences, tuple(trials), policy, slots, keep_episodes
        )
        processes = self._processes(trial.task for trial in trials) if policy.device == "cpu" else 1
        return self._run(request, processes, progress)

    def demonstrate(
        self,
        trials: Sequence[Trial],
        *,
        action_noise: float,
        keep_episodes: bool = True,
        progress: Progress | None = None,
    ) -> list[Rollout]:
        """Return what came of each trial's replay, or an expert's attempt at it, corrections of a policy among them.

        With ``keep_episodes``, there is also its episode if it succeeded. An accelerator is used by one process.

        Raises:
            ParameterError: The environment has no experts, or does not tell of hand and frames.
            CheckpointError: A corrected policy is no LeRobot checkpoint.
            SimulationError: A policy or an environment failed or hung; names the episode.
        """
        request = ExpertRequest(
            self.environment, self.options, self.shortcuts, self.sentences, tuple(trials), action_noise, keep_episodes
        )
        here = any(isinstance(trial, Correction) and trial.policy.device != "cpu" for trial in trials)
        return self._run(request, 1 if here else self._processes(trial.task for trial in trials), progress)

    def first_frames(self, trials: Sequence[Trial]) -> list[Scene]:
        """Return the frames at the beginning of each trial, with the outcome of an episode without steps.

        Raises:
            ParameterError: The environment does not tell of hand and frames.
            SimulationError: An environment failed or hung; names the episode.
        """
        request = FramesRequest(self.environment, self.options, self.shortcuts, self.sentences, tuple(trials))
        return self._run(request, self._processes(trial.task for trial in trials), None)

    def describe(self, tasks: Sequence[str]) -> Suite:
        """Return the suite of ``tasks``, names of tasks or groups.

        Raises:
            ParameterError: The environment type, an option, a task, or a group is unknown, or a
                task with a given sentence is not of the suite.
            SimulationError: The environment cannot begin an episode, or hung.
        """
        request = SuiteRequest(self.environment, self.options, self.shortcuts, self.sentences, tuple(tasks))
        if self._runs_here(self._processes(tasks)):
            return request.run(_station)
        return workers.ask(request, self.episode_timeout_s)

    def _runs_here(self, processes: int) -> bool:
        return processes == 1 and self.episode_timeout_s is None

    def _processes(self, tasks: Iterable[str]) -> int:
        return workers.usual_number(len(set(tasks))) if self.workers == "auto" else self.workers

    def _run(
        self, request: PolicyRequest | ExpertRequest | FramesRequest, processes: int, progress: Progress | None
    ) -> list[Any]:
        if self._runs_here(processes):
            return request.run(_station, progress)
        return workers.distribute(request, processes, self.episode_timeout_s, progress)


def policy_file(checkpoint: Checkpoint, evaluation: EvaluationParams) -> PolicyFile:
    """Return ``checkpoint`` as evaluation is to open it.

    Raises:
        ParameterError: ``evaluation.device`` is not there.
    """
    device = resolve_device(evaluation.device, "evaluation.device")
    return PolicyFile(checkpoint.path, checkpoint.digest, device, evaluation.torch_threads)


def simulator(suite: Suite | SuiteParams, evaluation: EvaluationParams) -> Simulator:
    """Return the environments of ``suite``, run as evaluation is configured."""
    given = {task.name: task.sentence for task in suite.tasks} if isinstance(suite, Suite) else suite.sentences
    return Simulator(
        suite.environment, suite.options, evaluation.workers, evaluation.episode_timeout_s, evaluation.shortcuts, given
    )
