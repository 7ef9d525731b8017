"""Training batches and steps: ours, LeRobot's own, and the model alone."""

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from benchmarks.loop import base_parameters
from benchmarks.small_act import parameters
from benchmarks.table import Row, alternated
from leagents_kedro.episodes.batches import BatchReader
from leagents_kedro.episodes.frame_cache import FrameCache
from leagents_kedro.episodes.shards import Episode, Shards
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.policies.training import train

if TYPE_CHECKING:
    from lerobot.configs.train import TrainPipelineConfig

STATE = {
    "observation.state": {"dtype": "float32", "shape": (4,), "names": None},
    "observation.environment_state": {"dtype": "float32", "shape": (89,), "names": None},
    "action": {"dtype": "float32", "shape": (4,), "names": None},
}
HWC = ["height", "width", "channels"]
VIDEO = {"observation.images.top": {"dtype": "video", "shape": (96, 96, 3), "names": HWC}}
BATCH = 64


def loader(quick: bool) -> list[Row]:
    """Return how long a batch takes to be read, as the preprocessor gets it."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        state = _mix(Path(folder) / "state", STATE, episodes=100)
        rows += [_batch_row(f"state, chunk {chunk}", state, chunk, Path(folder), quick) for chunk in (10, 50)]
        video = _mix(Path(folder) / "video", STATE | VIDEO, episodes=3 if quick else 10)
        rows.append(_batch_row("video 96x96, chunk 10", video, 10, Path(folder), quick))
    return rows


def step(quick: bool) -> list[Row]:
    """Return how long a step of a small ACT takes: in `train`, the model alone, and LeRobot's way."""
    import torch
    from lerobot.policies.act.modeling_act import ACTPolicy

    training = parameters(steps=50 if quick else 400)
    rung = training.ladder[0]
    forward = ACTPolicy.forward
    times: dict[str, list[float]] = {"ours": [], "alone": [], "lerobot": []}
    with tempfile.TemporaryDirectory() as folder:
        mix = _mix(Path(folder) / "mix", STATE, episodes=100)
        config = _config(mix, rung.options)
        torch.set_num_threads(training.torch_threads)
        ways = {"alone": _model_alone(config), "lerobot": _lerobot(config)}
        begin = time.perf_counter()
        others_run = False

        def others_first(policy: ACTPolicy, batch: dict[str, Any]) -> Any:
            """Take the time from one forward pass of `train` to its next, and let the others make a step between."""
            nonlocal begin, others_run
            if others_run:
                return forward(policy, batch)
            times["ours"].append(time.perf_counter() - begin)
            others_run = True
            for name, way in ways.items():
                if name == "alone" or len(times["ours"]) % 10 == 0:
                    begin = time.perf_counter()
                    way()
                    times[name].append(time.perf_counter() - begin)
            others_run = False
            begin = time.perf_counter()
            return forward(policy, batch)

        with patch.object(ACTPolicy, "forward", others_first):
            run, frames = Path(folder) / "run", Path(folder) / "frames"
            train(mix, range(100), rung, training, None, run, frames, lambda *_: None)
    ours, alone, theirs = (statistics.median(measured[1:]) for measured in times.values())
    measured = f"small ACT, batch {BATCH}, torch_threads {training.torch_threads}"
    return [
        Row("training step", f"{measured}: model alone", _ms(ours), _ms(alone), ours / alone, "<=", 1.05),
        Row("training step", f"{measured}: LeRobot", _ms(ours), _ms(theirs), theirs / ours, ">="),
    ]


def beside(quick: bool) -> list[Row]:
    """Return how much two busy processes slow the default's training, beside how much they slow a loop in Python."""
    training = TrainingParams(**base_parameters("training") | {"device": "cpu"})
    rung = training.rung(0).model_copy(update={"steps": 200 if quick else 1000})
    with tempfile.TemporaryDirectory() as folder:
        mix = _mix(Path(folder) / "mix", STATE, episodes=100)

        def training_run() -> None:
            with tempfile.TemporaryDirectory() as run:
                train(mix, range(100), rung, training, None, Path(run), Path(folder) / "frames", lambda *_: None)

        def counting() -> None:
            for _ in range(20_000_000 if quick else 100_000_000):
                pass

        ways = (training_run, counting)
        training_run()
        alone = alternated(ways, 3)
        with _busy_processes(2):
            busy = alternated(ways, 3)
    ours, fair = (with_others / without for with_others, without in zip(busy, alone, strict=True))
    what = f"{rung.policy_type}, torch_threads {training.torch_threads}"
    measured = f"{what}, two busy processes beside: times as long as alone; a loop in Python"
    return [Row("training", measured, f"{ours:.2f}", f"{fair:.2f}", ours / fair, "<=", 1.3)]


@contextmanager
def _busy_processes(number: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _mix(root: Path, features: dict[str, dict[str, Any]], episodes: int) -> Shards:
    """Write episodes of about 70 frames in the shape of MetaWorld's, with random content."""
    rng = np.random.default_rng(0)

    def column(feature: dict[str, Any], frames: int) -> np.ndarray:
        shape = (frames, *feature["shape"])
        if feature["dtype"] == "video":
            return rng.integers(0, 256, shape, np.uint8)
        return rng.normal(size=shape).astype(np.float32)

    written = [
        Episode(f"task {number % 5}", {key: column(feature, frames) for key, feature in features.items()})
        for number, frames in enumerate(rng.integers(50, 91, episodes).tolist())
    ]
    write_episodes(root, written, features, fps=80, robot_type="synthetic")
    return Shards(root)


def _batch_row(measured: str, mix: Shards, chunk: int, folder: Path, quick: bool) -> Row:
    import torch

    config = _config(mix, {"chunk_size": chunk, "n_action_steps": chunk, "pretrained_backbone_weights": None})
    reader = BatchReader(mix, None, {"action": [i / mix.fps for i in range(chunk)]}, FrameCache(folder / "frames", 1))
    order = itertools.cycle(torch.randperm(reader.num_frames).split(BATCH)[:-1])
    theirs = _lerobot_batches(config)
    repeats = 3 if quick else 15
    turns = 20  # of ours, which are too short to be timed alone
    mine, other = alternated([lambda: [reader.batch(next(order)) for _ in range(turns)], lambda: next(theirs)], repeats)
    ours = mine / turns
    return Row(f"batch of {BATCH}", measured, _ms(ours), _ms(other), other / ours, ">=")


def _config(mix: Shards, options: dict[str, Any]) -> "TrainPipelineConfig":
    from lerobot.configs.default import DatasetConfig
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.policies.factory import make_policy_config

    policy = make_policy_config("act", device="cpu", push_to_hub=False, **options)
    return TrainPipelineConfig(
        dataset=DatasetConfig(repo_id="local/mix", root=str(mix.root), video_backend="pyav"),
        policy=policy,
        optimizer=policy.get_optimizer_preset(),
        batch_size=BATCH,
        num_workers=0,
        seed=0,
    )


def _lerobot_batches(config: "TrainPipelineConfig") -> Iterator[dict[str, Any]]:
    """Yield batches as ``lerobot-train --num_workers=0`` reads them, until they go to the preprocessor."""
    import torch
    from lerobot.datasets.factory import make_dataset
    from lerobot.datasets.sampler import EpisodeAwareSampler

    dataset = make_dataset(config)
    episodes = dataset.meta.episodes
    sampler = EpisodeAwareSampler(episodes["dataset_from_index"], episodes["dataset_to_index"], shuffle=True)
    while True:
        for batch in torch.utils.data.DataLoader(dataset, batch_size=config.batch_size, sampler=sampler):
            images = [key for key in dataset.meta.camera_keys if batch[key].dtype == torch.uint8]
            yield batch | {key: batch[key].to(dtype=torch.float32) / 255.0 for key in images}


def _policy(config: "TrainPipelineConfig") -> tuple[Any, Any]:
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
    from lerobot.policies.factory import make_policy, make_pre_post_processors

    meta = LeRobotDatasetMetadata(config.dataset.repo_id, root=config.dataset.root)
    preprocessor, _ = make_pre_post_processors(config.policy, dataset_stats=meta.stats)
    return make_policy(config.policy, ds_meta=meta).train(), preprocessor


def _model_alone(config: "TrainPipelineConfig") -> Callable[[], None]:
    """Return a step on batches that are in memory and preprocessed already."""
    import torch

    policy, preprocessor = _policy(config)
    optimizer = config.optimizer.build(policy.get_optim_params())
    for group in optimizer.param_groups:
        group.update(fused=True, foreach=False)
    ready = itertools.cycle([preprocessor(batch) for batch in itertools.islice(_lerobot_batches(config), 20)])

    def step() -> None:
        loss, _ = policy.forward(next(ready))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), config.optimizer.grad_clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _lerobot(config: "TrainPipelineConfig") -> Callable[[], None]:
    """Return a step of ``lerobot-train``: its batch, its preprocessor, its update."""
    from accelerate import Accelerator  # type: ignore[import-untyped]
    from lerobot.scripts.lerobot_train import update_policy
    from lerobot.utils.logging_utils import AverageMeter, MetricsTracker

    policy, preprocessor = _policy(config)
    accelerator = Accelerator(step_scheduler_with_optimizer=False, cpu=True)
    policy, optimizer = accelerator.prepare(policy, config.optimizer.build(policy.get_optim_params()))
    meters = {name: AverageMeter(name) for name in ("loss", "grad_norm", "lr", "update_s")}
    tracker = MetricsTracker(BATCH, 1, 1, meters, accelerator=accelerator)
    batches = _lerobot_batches(config)

    def step() -> None:
        batch = preprocessor(next(batches))
        update_policy(tracker, policy, batch, optimizer, config.optimizer.grad_clip_norm, accelerator)

    return step


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
