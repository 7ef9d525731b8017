"""Training of one candidate: LeRobot's policies, processors, optimizers, and checkpoint layout, in this process.

The data order, the gradient clipping, and the normalisation are those of ``lerobot-train``; what differs is how
batches are read (columns and decoded frames instead of row by row), what `shortcuts` replace, and that a killed
training goes on from its last checkpoint by itself, with the same batches and random numbers as if it had never
stopped (to the bit on a CPU).
"""

import dataclasses
import json
import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leagents_kedro.episodes.batches import BatchReader
from leagents_kedro.episodes.columns import Features
from leagents_kedro.episodes.frame_cache import FrameCache
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import CheckpointError, EpisodesError, ParameterError, TrainingError
from leagents_kedro.foundation.files import staged
from leagents_kedro.foundation.hub import downloaded
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.foundation.typed import typed
from leagents_kedro.foundation.untrusted import check_checkpoint
from leagents_kedro.parameters.training import Rung, TrainingSettings
from leagents_kedro.policies.actor import Actor
from leagents_kedro.policies.checkpoints import (
    PROCESSORS,
    known_policies,
    missing_files,
    processor_steps,
    read_json,
    resolve_device,
    stored_shapes,
    unstored,
    way_to_complete,
)
from leagents_kedro.policies.refusals import refusals
from leagents_kedro.shortcuts import act, adam

if TYPE_CHECKING:
    import torch
    from lerobot.configs import PreTrainedConfig
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

logger = logging.getLogger(__name__)

_CHECK_EVERY_STEPS = 50  # a look at the loss waits for the device
_CHECK_EVERY_S = 5.0
_TRIED_FRAMES = 8


def train(
    shards: Shards,
    episodes: Sequence[int],
    rung: Rung,
    settings: TrainingSettings,
    initial: Path | None,
    workspace: Path,
    frame_cache: Path,
    progress: Callable[[int, int, float], None],
) -> Path:
    """Train ``rung`` on ``episodes`` and return the folder of its last checkpoint.

    Args:
        initial: ``pretrained_model`` folder to continue from; None starts the rung anew.
        workspace: Folder for checkpoints; where it holds some of this training, training goes on from the last.
        frame_cache: Folder for decoded images and videos, which all trainings share.
        progress: Called after each step with (steps done, steps in all, the mean loss of the last ones).

    Raises:
        ParameterError: The policy type or one of its options is unknown, or LeRobot refuses them.
        CheckpointError: ``initial`` does not fit the rung or the mix.
        EpisodesError: The mix cannot be read, or lacks what the policy learns from.
        TrainingError: The loss is not a finite number.
    """
    import torch
    from lerobot.common.train_utils import load_training_state, should_save_checkpoint
    from lerobot.optim.factory import make_optimizer_and_scheduler
    from lerobot.utils.random_utils import set_seed

    torch.set_num_threads(settings.torch_threads)
    set_seed(settings.seed)
    last = _last_checkpoint(workspace)
    parts = _parts(shards, episodes, rung, settings, initial, workspace, last)
    config, policy, preprocessor, postprocessor = parts.config, parts.policy, parts.preprocessor, parts.postprocessor
    optimizer, scheduler = make_optimizer_and_scheduler(config, policy)
    update = _updater(optimizer, list(policy.parameters()), config.optimizer.grad_clip_norm)
    if settings.shortcuts:
        act.speed_up(policy)
        adam.speed_up(optimizer)
    step = 0
    if last:
        step, optimizer, scheduler = load_training_state(last, optimizer, scheduler)

    reader = parts.reader(shards, episodes, frame_cache, settings)
    batches = _batches(shards, episodes, reader, config, step)
    policy.train()
    losses: list[torch.Tensor] = []
    mean, checked = math.nan, 0.0
    with _cuda_of_lerobot():
        for frames in batches:
            batch = reader.batch(frames)
            with refusals(rung, shards.features):
                loss = parts.loss(batch, settings)
                loss.backward()
            update()
            if scheduler is not None:
                scheduler.step()
            if hasattr(policy, "update"):
                policy.update()
            losses.append(loss.detach())
            step += 1
            saves = should_save_checkpoint(step, settings.save_every_steps, rung.steps)
            late = time.monotonic() - checked > _CHECK_EVERY_S
            if saves or late or len(losses) == _CHECK_EVERY_STEPS:
                mean, checked = _mean_loss(losses, step), time.monotonic()
                losses.clear()
            progress(step, rung.steps, mean)
            if saves:
                last = _save(config, step, policy, optimizer, scheduler, preprocessor, postprocessor)
    assert last is not None, "the last step is always saved"
    return last


def try_training(
    shards: Shards,
    episodes: Sequence[int],
    rung: Rung,
    settings: TrainingSettings,
    initial: Path | None,
    frame_cache: Path,
) -> None:
    """Build the rung's policy as `train` would, compute one loss on a few frames of the first of ``episodes``, and act.

    Raises:
        ParameterError: The rung cannot be trained on the mix; tells LeRobot's reason, and the likely fix.
        CheckpointError: Its initial weights do not fit the rung or the mix.
        EpisodesError: The mix cannot be read, or lacks what the policy learns from.
        TrainingError: The loss is not a finite number.
    """
    import torch

    parts = _parts(shards, episodes[:1], rung, settings, initial, Path("nowhere"))
    reader = parts.reader(shards, episodes[:1], frame_cache, settings)
    batch = reader.batch(torch.arange(min(reader.num_frames, settings.batch_size, _TRIED_FRAMES)))
    with refusals(rung, shards.features):
        loss = parts.loss(batch, settings)
    with refusals(rung, shards.features, "act"):
        Actor(parts.policy, parts.preprocessor, parts.postprocessor, settings.torch_threads).rehearse()
    if not loss.isfinite():
        raise TrainingError(
            f"the loss of '{rung.policy_type}' on the first frames of {shards.root} is {loss.item()}; look for broken "
            f"values in the mix{f', and in {source}' if (source := initial or rung.pretrained_path) else ''}: "
            f"`{typed('loop doctor FOLDER')}` finds them"
        )


def check_policy(rung: Rung, device: str, features: Features) -> None:
    """Build the rung's policy for the ``features`` of an environment, where there is no mix yet to try it on.

    Raises:
        ParameterError: A package is missing, or LeRobot refuses the features or an option.
        CheckpointError: The weights that the rung starts from were trained on other features.
        EpisodesError: The environment gives no rewards, and the policy learns from them.
    """
    from lerobot.configs import FeatureType
    from lerobot.policies.factory import get_policy_class, make_pre_post_processors
    from lerobot.utils.feature_utils import dataset_to_policy_features

    source = _pretrained_folder(rung)
    config = policy_config(rung, device, source)
    _check_features(config, source, features, "the environment")
    with refusals(rung, features):
        known = dataset_to_policy_features(features)
        config.output_features = {key: one for key, one in known.items() if one.type is FeatureType.ACTION}
        config.input_features = config.input_features or {
            key: one for key, one in known.items() if key not in config.output_features
        }
        policy = get_policy_class(config.type)(config).to(config.device)
        if source:
            _check_weights(policy, source)
            processors = _loaded_processors(config, source)
        else:
            processors = make_pre_post_processors(config, dataset_stats={})
    with refusals(rung, features, "act"):
        Actor(policy, *processors, torch_threads=1).rehearse()


@dataclass(frozen=True)
class _Parts:
    """What a training is made of, before its first step."""

    config: "TrainPipelineConfig"
    meta: "LeRobotDatasetMetadata"
    policy: Any
    preprocessor: Any
    postprocessor: Any

    def reader(
        self, shards: Shards, episodes: Sequence[int], frame_cache: Path, settings: TrainingSettings
    ) -> BatchReader:
        """Return the reader of the frames that the policy is given at a time."""
        from lerobot.datasets.factory import resolve_delta_timestamps

        deltas = resolve_delta_timestamps(self.config.policy, self.meta)
        frames_on_disk = FrameCache(frame_cache, settings.frame_cache_gb)
        return BatchReader(shards, episodes, deltas, frames_on_disk, self.config.policy.device)

    def loss(self, batch: dict[str, Any], settings: TrainingSettings) -> "torch.Tensor":
        """Return the loss on a batch of the mix."""
        import torch

        inputs = self.preprocessor(batch)
        device = torch.device(self.config.policy.device).type
        with torch.autocast(device, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            loss, _ = self.policy.forward(inputs)
        return loss


def _parts(
    shards: Shards,
    episodes: Sequence[int],
    rung: Rung,
    settings: TrainingSettings,
    initial: Path | None,
    workspace: Path,
    last: Path | None = None,
) -> _Parts:
    """Build what trains ``rung``, with the weights of ``last``, of ``initial``, or of the rung's own beginning."""
    with refusals(rung, shards.features):
        start = initial or _pretrained_source(rung)
    source = last / "pretrained_model" if last else start
    config = _pipeline_config(shards, episodes, rung, settings, workspace, start)
    _check_features(config.policy, start, shards.features, str(shards.root))
    keeps_statistics = last is not None or (initial is not None and settings.normalization == "keep")
    meta = _metadata(config)
    with refusals(rung, shards.features):
        return _Parts(config, meta, *_policy_and_processors(config, meta, source, keeps_statistics))


def _check_features(policy: "PreTrainedConfig", source: Path | None, features: Features, place: str) -> None:
    """Check that ``features`` of ``place`` hold what the policy learns from, in the shapes of its first weights.

    Raises:
        EpisodesError: It has no rewards, and the policy learns from them.
        CheckpointError: ``source`` was trained on other features.
    """
    from lerobot.configs import FeatureType
    from lerobot.utils.constants import REWARD

    if policy.reward_delta_indices is not None and REWARD not in features:
        raise EpisodesError(
            f"{place}: '{policy.type}' learns from '{REWARD}', which it does not have; choose another "
            "policy_type, or demonstrations with rewards (demonstrations.source: experts records them)"
        )
    has_room = hasattr(policy, "max_state_dim")  # for vectors of any length up to it
    for key, feature in (policy.input_features or {}).items():
        given = features.get(key)
        if feature.type is FeatureType.VISUAL or (given and has_room):
            continue  # LeRobot tells of images that are missing
        if given is None or tuple(given["shape"]) != tuple(feature.shape):
            found = f"{tuple(given['shape'])}" if given else "none"
            raise CheckpointError(
                f"{source}: was trained with '{key}' {tuple(feature.shape)}, and {place} has {found}; start the "
                "rung from scratch, or from weights of the same environment"
            )


def _pipeline_config(
    shards: Shards,
    episodes: Sequence[int],
    rung: Rung,
    settings: TrainingSettings,
    workspace: Path,
    source: Path | None,
) -> "TrainPipelineConfig":
    """Return the configuration that ``lerobot-train`` would have had, kept beside every checkpoint."""
    import draccus
    from lerobot.configs.default import DatasetConfig
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.optim import LRSchedulerConfig

    policy = policy_config(rung, settings.device, source)
    return TrainPipelineConfig(
        dataset=DatasetConfig("local/mix", root=str(shards.root), episodes=list(episodes), video_backend="pyav"),
        policy=policy,
        optimizer=policy.get_optimizer_preset(),
        scheduler=draccus.decode(LRSchedulerConfig, rung.schedule) if rung.schedule else policy.get_scheduler_preset(),
        output_dir=workspace,
        job_name=rung.policy_type,
        seed=settings.seed,
        num_workers=0,
        batch_size=settings.batch_size,
        steps=rung.steps,
        env_eval_freq=0,
        save_freq=settings.save_every_steps,
    )


def policy_config(rung: Rung, device: str, source: Path | None = None) -> "PreTrainedConfig":
    """Return LeRobot's configuration of the rung's policy, over that of the ``source`` it starts from.

    Raises:
        ParameterError: The policy type or an option is unknown, or an option has no valid value.
        CheckpointError: ``source`` holds another type of policy.
    """
    import draccus
    from lerobot.configs import PreTrainedConfig

    known = known_policies(rung.policy_type)
    if rung.policy_type not in known:
        raise ParameterError(f"training.ladder: {no_such('policy_type', rung.policy_type, known)}")
    fields = {field.name for field in dataclasses.fields(known[rung.policy_type]) if field.init}
    if unknown := sorted(set(rung.options) - fields):
        raise ParameterError(f"training.ladder: {no_such(f'option of {rung.policy_type}', unknown[0], fields)}")
    inherited = read_json(source / "config.json") if source else {"type": rung.policy_type}
    if inherited.get("type") != rung.policy_type:
        raise CheckpointError(
            f"{source}: a checkpoint of {inherited.get('type')!r}, but the rung trains '{rung.policy_type}'; start it "
            "from scratch, or from weights of its own type"
        )
    given = {"device": resolve_device(device, "training.device"), "push_to_hub": False, "pretrained_path": None}
    try:
        return draccus.decode(PreTrainedConfig, inherited | given | rung.options)
    except (draccus.ParsingError, TypeError, ValueError, NotImplementedError) as error:
        reason = error.__cause__ if str(error).startswith("Couldn't instantiate") else error
        over = f", over those of {source}/config.json," if source else ""
        raise ParameterError(
            f"training.ladder: options of '{rung.policy_type}'{over} are not valid: {reason}"
        ) from error


def check_rung(rung: Rung, device: str) -> None:
    """Check what a rung says of itself: type, options, device, and the weights that it starts from, if they are here.

    Raises:
        ParameterError: The policy type or an option is unknown, LeRobot refuses them, or the device is not there.
        CheckpointError: ``pretrained_path`` is incomplete, or of another type of policy.
    """
    policy_config(rung, device, _pretrained_folder(rung))


def _pretrained_source(rung: Rung) -> Path | None:
    """Return a folder with the rung's pretrained weights, downloaded if they are named by a Hub id."""
    folder = _pretrained_folder(rung)
    if folder or rung.pretrained_path is None:
        return folder
    patterns = ["*.json", "*.safetensors"]
    revision = str(rung.pretrained_revision)
    folder = downloaded(rung.pretrained_path, revision, "pretrained_revision", allow_patterns=patterns)
    return _sound(folder, rung.pretrained_path)


def _pretrained_folder(rung: Rung) -> Path | None:
    """Return the folder of the rung's pretrained weights, if they are here.

    Raises:
        ParameterError: It is neither here nor a Hub id with its revision.
        CheckpointError: It is incomplete, or cannot be trusted.
    """
    source = rung.pretrained_path
    if source is None:
        return None
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _sound(folder, source)
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source):
        raise ParameterError(f"training.ladder: pretrained_path '{source}' is no folder; correct the path")
    if rung.pretrained_revision is None:
        raise ParameterError(
            f"training.ladder: pretrained_path '{source}' is no folder here, so it is taken for a Hub id, which needs "
            "a pretrained_revision (a commit or tag): results could not be repeated without"
        )
    return None


def _sound(folder: Path, given: str) -> Path:
    """Return the ``folder`` of weights that was ``given``, in which nothing is missing, and no code of others.

    Raises:
        CheckpointError: It is incomplete, damaged, an adapter, or cannot be trusted.
    """
    where = f"training.ladder: pretrained_path '{given}'"
    if missing := missing_files(folder):
        fix, command = way_to_complete(folder)
        raise CheckpointError(
            f"{where} should be a `pretrained_model` folder as lerobot-train writes it, lacks {', '.join(missing)}. "
            f"Fix: {fix}{': ' * bool(command)}{command}"
        )
    check_checkpoint(folder)
    if not (folder / "model.safetensors").is_file():
        raise CheckpointError(
            f"{where} holds an adapter (PEFT), which is neither trained on nor evaluated here. Fix: merge it into the "
            "policy that it adapts, and give the folder of that"
        )
    stored_shapes(folder)
    return folder


def _metadata(config: "TrainPipelineConfig") -> "LeRobotDatasetMetadata":
    """Return the mix's metadata, as ``lerobot-train`` has it: images are normalized as ImageNet's.

    Raises:
        EpisodesError: It cannot be read.
    """
    import torch
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
    from lerobot.datasets.io_utils import load_info, load_stats, load_tasks
    from lerobot.utils.constants import IMAGENET_STATS

    class WithoutEpisodes(LeRobotDatasetMetadata):
        """Does not load the rows of all episodes, of which Hugging Face's library would leave a copy in the home."""

        def _load_metadata(self) -> None:
            self.info, self.tasks, self.stats = load_info(self.root), load_tasks(self.root), load_stats(self.root)
            self.episodes = None

    try:
        meta = WithoutEpisodes(config.dataset.repo_id, root=config.dataset.root)
    except ValueError as error:  # that of JSON is one
        raise EpisodesError(
            f"{config.dataset.root}/meta: stats.json or another file is damaged; restore it from a copy. {error}"
        ) from error
    for key in meta.camera_keys:
        imagenet = {name: torch.tensor(values) for name, values in IMAGENET_STATS.items()}
        meta.stats[key] = meta.stats.get(key, {}) | imagenet
    return meta


def _policy_and_processors(
    config: "TrainPipelineConfig", meta: "LeRobotDatasetMetadata", source: Path | None, keeps_statistics: bool
) -> tuple[Any, Any, Any]:
    """Return the policy and its processors; statistics are the mix's unless those of the source are kept."""
    from lerobot.policies.factory import make_policy, make_pre_post_processors

    policy_config = config.policy
    if source is None:
        policy = make_policy(policy_config, ds_meta=meta)
        return policy, *make_pre_post_processors(policy_config, dataset_stats=meta.stats)
    policy_config.pretrained_path = source
    try:
        with redirect_stdout(None):  # LeRobot prints where it loads from
            policy = make_policy(policy_config, ds_meta=meta)
        _check_weights(policy, source)
    except RuntimeError as error:
        raise CheckpointError(
            f"{source}: weights do not fit '{policy_config.type}' with the options of this rung and the features of "
            f"{meta.root}; give it the options it was trained with, or start it from scratch. {error}"
        ) from error
    # The checkpoint must not name a folder that may be gone when it is opened.
    policy_config.pretrained_path = None
    return policy, *_loaded_processors(policy_config, source, None if keeps_statistics else meta.stats)


def _check_weights(policy: Any, source: Path) -> None:
    """Make sure that ``source`` has all weights of ``policy``: LeRobot begins with random ones, and only logs which.

    Raises:
        CheckpointError: Some are missing, or of another shape.
    """
    from lerobot.policies.pretrained import PreTrainedPolicy

    loaders = ("from_pretrained", "_load_as_safetensor")
    if any(getattr(type(policy), name).__func__ is not getattr(PreTrainedPolicy, name).__func__ for name in loaders):
        return  # it knows other names of its weights
    weights, stored = policy.state_dict(), stored_shapes(source)
    bad = unstored(weights, stored) + [
        name for name, weight in weights.items() if stored.get(name, tuple(weight.shape)) != tuple(weight.shape)
    ]
    if bad:
        other = next((name for name in stored if name not in weights), None)
        raise CheckpointError(
            f"{source}/model.safetensors: should have all weights of '{policy.config.type}', but {len(bad)} of "
            f"{len(weights)} are missing or of another shape, first '{bad[0]}'"
            + (f"; it has '{other}' instead" if other else "")
            + ". Fix: save the policy as LeRobot does (not one that is compiled or distributed), with the options of "
            "this rung; or start the rung from scratch"
        )


def _loaded_processors(
    config: "PreTrainedConfig", source: Path, statistics: dict[str, Any] | None = None
) -> tuple[Any, Any]:
    """Return the processors of ``source``, on the device of ``config``, with other ``statistics`` where they are given.

    Raises:
        CheckpointError: This LeRobot does not know a step, or an option of one.
    """
    from lerobot.policies.factory import make_pre_post_processors

    before: dict[str, Any] = {"device_processor": {"device": config.device}}
    after: dict[str, Any] = {"device_processor": {"device": "cpu"}}
    if statistics is not None:
        renewed = {"norm_map": config.normalization_mapping, "stats": statistics}
        before["normalizer_processor"] = renewed | {"features": {**config.input_features, **config.output_features}}
        after["unnormalizer_processor"] = renewed | {"features": config.output_features}
    there = [{step.get("registry_name") for step in processor_steps(source / name)} for name in PROCESSORS]
    chosen = [{key: one[key] for key in one.keys() & names} for one, names in zip((before, after), there, strict=True)]
    try:
        preprocessor, postprocessor = make_pre_post_processors(
            config, str(source), preprocessor_overrides=chosen[0], postprocessor_overrides=chosen[1]
        )
    except (ImportError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split()).partition(" Available steps")[0].rstrip(".")
        raise CheckpointError(
            f"{source}: this LeRobot cannot make its processors: {reason}. Fix: take weights that the LeRobot which "
            "is installed wrote, or install that which wrote them"
        ) from error
    return preprocessor, postprocessor


def _batches(
    shards: Shards, episodes: Sequence[int], reader: BatchReader, config: "TrainPipelineConfig", step: int
) -> Iterator["torch.Tensor"]:
    """Yield the frames of each remaining step, in the order of LeRobot's EpisodeAwareSampler.

    The order is a pure function of (seed, epoch), so a resumed training sees the batches it would have seen.
    """
    import torch
    from lerobot.datasets.sampler import EpisodeAwareSampler

    lengths = torch.as_tensor(shards.index.length[sorted(episodes)])
    ends = lengths.cumsum(0)
    sampler = EpisodeAwareSampler(
        (ends - lengths).tolist(),
        ends.tolist(),
        drop_n_last_frames=getattr(config.policy, "drop_n_last_frames", 0),
        shuffle=False,
    )
    frames = torch.arange(reader.num_frames) if len(sampler) == reader.num_frames else torch.tensor(sampler.indices)
    epoch, skipped = divmod(step, math.ceil(len(frames) / config.batch_size))
    while True:
        order = torch.randperm(len(frames), generator=sampler_generator(config.seed, epoch))
        for batch in frames[order].split(config.batch_size)[skipped:]:
            if step == config.steps:
                return
            yield batch
            step += 1
        epoch, skipped = epoch + 1, 0


def sampler_generator(seed: int, epoch: int) -> "torch.Generator":
    """Return the random generator that LeRobot's EpisodeAwareSampler shuffles ``epoch`` with."""
    import numpy as np
    import torch

    state = np.random.SeedSequence([seed, epoch]).generate_state(1, dtype=np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def _updater(optimizer: "torch.optim.Optimizer", weights: "list[torch.Tensor]", max_norm: float) -> Callable[[], None]:
    """Return what updates ``weights`` by their gradients, which are clipped to ``max_norm`` (0: as they are)."""
    from torch.nn.utils import clip_grad_norm_

    def update() -> None:
        clip_grad_norm_(weights, max_norm or math.inf)
        optimizer.step()
        optimizer.zero_grad()

    return update


@contextmanager
def _cuda_of_lerobot() -> Iterator[None]:
    """Multiply in TF32 and measure convolutions on CUDA, as ``lerobot-train`` does, while this lasts.

    What follows in this process, an evaluation, must give the same whether a training came before it or not.
    """
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.benchmark
    matmul.allow_tf32, cudnn.benchmark = True, True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.benchmark = before


def _mean_loss(losses: "list[torch.Tensor]", step: int) -> float:
    import torch

    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise TrainingError(
            f"the loss is {mean} within the {len(losses)} steps before step {step}; lower the learning rate "
            "(training.ladder options.optimizer_lr) or look for broken values in the mix"
        )
    return mean


def _last_checkpoint(workspace: Path) -> Path | None:
    """Return the newest complete checkpoint of an earlier attempt; their names are zero-padded step numbers.

    One that was damaged since is deleted: the training starts anew and ends the same.
    """
    last = max((workspace / "checkpoints").glob("[0-9]*"), default=None)
    if last and not _is_readable(last):
        logger.warning("%s is damaged; the training starts anew", last)
        shutil.rmtree(last)
        return None
    return last


def _is_readable(checkpoint: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        for file in checkpoint.rglob("*.safetensors"):
            with safe_open(file, "pt"):  # holds the length of the file against its header
                pass
        for file in checkpoint.rglob("*.json"):
            json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError):
        return False
    return True


def _save(config: "TrainPipelineConfig", step: int, policy: Any, *state: Any) -> Path:
    """Write a checkpoint beside its place, bring it to the disk, and rename it; older ones are dropped."""
    from lerobot.common.train_utils import get_step_checkpoint_dir, save_checkpoint

    optimizer, scheduler, preprocessor, postprocessor = state
    place = get_step_checkpoint_dir(config.output_dir, config.steps, step)
    with staged(place) as staging:
        save_checkpoint(
            staging, step, config, policy, optimizer, scheduler, preprocessor, postprocessor, 1, config.batch_size
        )
    for other in set(place.parent.glob("[0-9]*")) - {place}:
        shutil.rmtree(other)
    return place
