"""Worker processes change nothing but speed, survive what environments do to them, and leave with their driver."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors

from leagents_kedro.errors import CheckpointError, ParameterError, SimulationError
from leagents_kedro.policies.actor import PolicyFile
from leagents_kedro.simulation import workers
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.simulator import Simulator


@pytest.fixture(scope="module")
def policy(checkpoint: Path) -> PolicyFile:
    return PolicyFile(checkpoint, "small", "cpu", 1)


def simulator(processes: int, timeout_s: float | None = 100) -> Simulator:
    return Simulator("metaworld_state", {"episode_length": 60}, processes, timeout_s)


@pytest.mark.slow
def test_processes_change_nothing_but_speed(policy: PolicyFile) -> None:
    trials = [Trial(task, seed) for seed in range(50, 55) for task in ("reach-v3", "drawer-close-v3")]
    seen: list[int] = []
    here = simulator(1, None).roll_out(policy, trials, slots=3)
    there = simulator(2).roll_out(policy, trials, slots=8, progress=lambda done, _: seen.append(done))
    assert there == here
    assert seen == sorted(seen)
    assert seen[-1] == len(trials)
    assert len(workers._idle) == 2
    assert simulator(1).roll_out(policy, trials[:1], slots=8) == here[:1], "one process, and not this one"


@pytest.mark.slow
def test_demonstrations_too_and_only_successes_are_sent(policy: PolicyFile) -> None:
    trials = [Trial(task, seed) for seed in range(2) for task in ("reach-v3", "push-v3")]
    here = simulator(1, None).demonstrate(trials, action_noise=0.1)
    there = simulator(2).demonstrate(trials, action_noise=0.1)
    assert [outcome for outcome, _ in there] == [outcome for outcome, _ in here]
    assert len({outcome.success for outcome, _ in here}) == 2
    for outcome, episode in there:
        assert (episode is not None) == outcome.success
    for (_, one), (_, other) in zip(here, there, strict=True):
        assert one is None or all((one.columns[key] == other.columns[key]).all() for key in one.columns)


def test_environments_without_experts_are_refused() -> None:
    with pytest.raises(ParameterError, match="no scripted experts"):
        Simulator("pusht", {}, 2, None).demonstrate([Trial("PushT-v0", 0)], action_noise=0.1)


@pytest.mark.parametrize("trials", [1, 5, 16, 40, 300])
@pytest.mark.parametrize("processes", [1, 2, 16])
def test_portions_are_all_jobs_in_order_and_end_small(trials: int, processes: int) -> None:
    portions = list(workers._portions(trials, processes))
    assert [position for portion in portions for position in portion] == list(range(trials))
    assert all(1 <= len(portion) <= 16 for portion in portions)
    assert processes == 1 or trials < 2 or len(portions[-1]) == 1


@pytest.fixture(scope="module")
def plane_policy(tmp_path_factory: pytest.TempPathFactory) -> PolicyFile:
    """An untrained policy for the plug-in of these tests."""
    folder = tmp_path_factory.mktemp("plane")
    keys = {"observation.state": FeatureType.STATE, "observation.environment_state": FeatureType.ENV}
    config = ACTConfig(
        input_features={key: PolicyFeature(kind, (2,)) for key, kind in keys.items()},
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
        chunk_size=2,
        n_action_steps=2,
        dim_model=16,
        n_heads=2,
        dim_feedforward=16,
        n_encoder_layers=1,
        use_vae=False,
        device="cpu",
    )
    stats = {key: {"mean": torch.zeros(2), "std": torch.ones(2)} for key in (*keys, "action")}
    for part in (ACTPolicy(config), *make_pre_post_processors(config, dataset_stats=stats)):
        part.save_pretrained(folder / "pretrained_model")
    return PolicyFile(folder, "plane", "cpu", 1)


def faulty(folder: Path, timeout_s: float | None = 100, processes: int = 2) -> Simulator:
    return Simulator("faulty", {"folder": str(folder)}, processes, timeout_s)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_environment_that_raises_names_the_episode(plane_policy: PolicyFile, tmp_path: Path, processes: int) -> None:
    environments = faulty(tmp_path, None, processes)
    trials = [Trial("works", 1), Trial("raises", 7), Trial("works", 2)]
    with pytest.raises(SimulationError, match=r"task raises, seed 7, step 2: .*ValueError\('the gripper broke'\)"):
        environments.roll_out(plane_policy, trials, slots=2)
    assert [outcome.length for outcome, _ in environments.roll_out(plane_policy, trials[::2], slots=2)] == [6, 6]


def test_a_crash_is_tried_again_by_itself_and_then_named(plane_policy: PolicyFile, tmp_path: Path) -> None:
    trials = [Trial("works", 1), Trial("crashes once", 3), Trial("works", 2)]
    rolled = faulty(tmp_path).roll_out(plane_policy, trials, slots=2)
    assert [(outcome.task, outcome.length) for outcome, _ in rolled] == [(trial.task, 6) for trial in trials]
    with pytest.raises(SimulationError, match=r"task crashes, seed 5: the process that ran this episode .*SIGSEGV"):
        faulty(tmp_path).roll_out(plane_policy, [*trials, Trial("crashes", 5)], slots=2)
    assert faulty(tmp_path).roll_out(plane_policy, trials, slots=2) == rolled


@pytest.mark.slow
def test_a_hang_is_ended_and_named(plane_policy: PolicyFile, tmp_path: Path) -> None:
    trials = [Trial("works", 1), Trial("hangs", 4)]
    with pytest.raises(SimulationError, match=r"task hangs, seed 4: .* took longer than 2 s"):
        faulty(tmp_path, timeout_s=2).roll_out(plane_policy, trials, slots=2)


def test_other_errors_of_the_project_keep_their_kind(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model"):
        faulty(tmp_path).roll_out(PolicyFile(tmp_path, "none", "cpu", 1), [Trial("works", 1)], slots=1)


DRIVER = """
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from leagents_kedro.simulation import workers


@dataclass(frozen=True)
class Work:
    trials: tuple[Path, ...]
    seconds: float
    environment = "none"

    def run(self, station):
        for started in self.trials:
            started.touch()
            time.sleep(self.seconds)
        return self.trials


if __name__ == "__main__":
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    workers.warm_up = lambda environment: None  # it works without, and starts sooner
    workers.distribute(Work((folder / "one", folder / "two"), seconds), 2, None, None)
    (folder / "idle").touch()
    time.sleep(3600)
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(DRIVER.replace('if __name__ == "__main__":', "if True:"))
    ended = subprocess.run([sys.executable, script, tmp_path, "0"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    *_, last = ended.stderr.strip().splitlines()
    assert f"SimulationError: {script}: every worker process imports this script" in last
    assert 'if __name__ == "__main__":' in last
    assert not (tmp_path / "one").exists()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    return alive([one for one in processes if one.is_running()])


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (signal.SIGKILL, "busy"),
        (signal.SIGKILL, "idle"),
        *(pytest.param(number, "busy", marks=pytest.mark.slow) for number in (signal.SIGTERM, signal.SIGINT)),
    ],
)
def test_no_process_outlives_its_driver(tmp_path: Path, number: signal.Signals, state: str) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path), "3600" if state == "busy" else "0"]
    signs = [tmp_path / name for name in (("one", "two") if state == "busy" else ("idle",))]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as driver:
        while not all(sign.exists() for sign in signs):
            assert driver.poll() is None
            time.sleep(0.05)
        children = psutil.Process(driver.pid).children(recursive=True)
        assert len(children) >= 3, "the server and two workers"
        (os.killpg if number is signal.SIGINT else os.kill)(driver.pid, number)
        assert driver.wait() != 0
    while alive(children):  # the suite's time limit ends this
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when its imports are done")
def test_a_server_that_is_still_importing_ends_with_its_driver() -> None:
    start = "from leagents_kedro.simulation.workers import warm_up; warm_up('metaworld_state')"
    program = f"{start}; print('started', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        servers = psutil.Process(driver.pid).children(recursive=True)
        while not any("torch" in mapped.path for server in servers for mapped in server.memory_maps()):
            time.sleep(0.05)  # by now it is tied, and far from done
        driver.kill()
    assert servers
    psutil.wait_procs(servers, timeout=1)
    assert not alive(servers)


@pytest.mark.parametrize(
    ("cores", "gigabytes", "tasks", "number"),
    [(8, 64, 4, 8), (64, 32, 50, 37), (64, 8, 50, 7), (8, 1, 50, 1)],
)
def test_cores_and_memory_limit_the_number_of_workers(cores, gigabytes, tasks, number):
    assert workers.affordable(cores, gigabytes * 10**9, tasks) == number
    assert 0 < workers.usable_memory() <= psutil.virtual_memory().total
