"""What cannot run is refused before a cycle is opened."""

import math
import sys
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset, Version

from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.datasets.lerobot_shards import LeRobotShards
from leagents_kedro.episodes.shards import NewEpisodes, Shards
from leagents_kedro.errors import CheckpointError, ConstitutionError, CoverageError, EpisodesError, ParameterError
from leagents_kedro.history.history import History
from leagents_kedro.loop.preflight import PreflightHooks
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.harvest import HarvestParams
from leagents_kedro.parameters.selection import SelectionParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.records import Checkpoint
from leagents_kedro.simulation.collection import successful_episodes
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.pool import EnvironmentPool
from support.damage import frames, number
from support.datasets import METAWORLD, numbers, write_reaches
from support.parameters import BASE, base_parameters, described
from support.policies import rung_of, untrained

MODELS = {
    "suite": SuiteParams,
    "training": TrainingParams,
    "evaluation": EvaluationParams,
    "gating": GatingParams,
    "harvest": HarvestParams,
    "demonstrations": DemonstrationParams,
    "selection": SelectionParams,
}
HERE = {"evaluation": {"workers": 1, "episode_timeout_s": None}}


def catalog(mix: Path = Path("nowhere"), blessed: Checkpoint | None = None, **changes):
    """The project's own parameters, with those of ``stage={"key": value}`` in their place."""
    stages = {
        "constitution": ConstitutionDataset(str(BASE / "constitution.yml")),
        "ledger": MemoryDataset(History(())),
        "blessed": MemoryDataset(blessed),
        "mix": LeRobotShards(str(mix), Version(None, "2026-01-01T00.00.00.000Z")),
    }
    for stage, model in MODELS.items():
        values = base_parameters(stage, **HERE.get(stage, {}) | changes.get(stage, {}))
        stages[f"params:{stage}"] = MemoryDataset(model.model_validate(values))
    return DataCatalog(stages)


def test_the_default_passes_and_so_does_a_project_without_a_suite():
    PreflightHooks().before_cycle_opened(catalog())
    PreflightHooks().before_cycle_opened(DataCatalog({}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suite": {"tasks": ["reech-v3"]}}, "Did you mean 'reach-v3'"),
        ({"gating": {"look_every": 7}}, "look_every should be a multiple"),
    ],
)
def test_the_fault_is_named(changes, message):
    with pytest.raises(ParameterError, match=message):
        PreflightHooks().before_cycle_opened(catalog(**changes))


def test_an_environment_without_experts_needs_demonstrations_of_others():
    pusht = {"environment": "pusht", "tasks": ["PushT-v0"], "options": {"obs_type": "environment_state_agent_pos"}}
    with pytest.raises(ParameterError, match=r"'pusht' has no scripted experts.*demonstrations.source: folder"):
        PreflightHooks().before_cycle_opened(catalog(suite=pusht))


def test_an_environment_without_frames_is_refused_where_demonstrations_are_to_be_amplified():
    pusht = {"environment": "pusht", "tasks": ["PushT-v0"], "options": {"obs_type": "environment_state_agent_pos"}}
    given = {
        "source": "folder",
        "folder": "somewhere",
        "amplify": {"of": "folder", "sources_per_task": 1, "min_rate": 0.2},
    }
    with pytest.raises(ParameterError, match=r"'pusht' does not tell .* amplified; only metaworld_state does"):
        PreflightHooks().before_cycle_opened(catalog(suite=pusht, demonstrations=given))


def test_demonstrations_of_others_are_not_amplified_where_only_those_of_experts_are_to_be():
    pusht = {"environment": "pusht", "tasks": ["PushT-v0"], "options": {"obs_type": "environment_state_agent_pos"}}
    PreflightHooks().before_cycle_opened(catalog(suite=pusht, demonstrations={"source": "folder", "folder": "x"}))


def test_a_mistyped_environment_is_named_with_those_that_are_allowed():
    with pytest.raises(ConstitutionError, match="'metaworld-state' is not among metaworld_state, metaworld, pusht"):
        PreflightHooks().before_cycle_opened(catalog(suite={"environment": "metaworld-state"}))


ELSEWHERE = "cuda" if sys.platform == "darwin" else "mps"
REFUSED = {
    "an option": ({"dim_modell": 8}, "'dim_modell'.*Did you mean 'dim_model'"),
    "steps of a chunk": ({"n_action_steps": 9}, "options of 'act' are not valid: The chunk size is the upper bound"),
    "one observation": ({"temporal_ensemble_coeff": 0.1}, "n_action_steps` must be 1 when using temporal ensembling"),
    "its value": ({"dim_model": "wide"}, "`dim_model`: Couldn't parse 'wide' into an int"),
    "sizes": ({"n_heads": 3}, "'act' cannot be trained here: .*divisible.*Fix: change its options"),
    "an extra": ({"policy_type": "diffusion"}, r"'diffusion' cannot .*'diffusers' is required.*lerobot\[diffusion\]"),
    "an image": ({"policy_type": "vqbet"}, r"only one image among the inputs. Fix: .*observation.state \(4,\)"),
    "no folder": ({"pretrained_path": "./nowhere"}, "pretrained_path './nowhere' is no folder; correct the path"),
    "no revision": ({"pretrained_path": "lerobot/act"}, "'lerobot/act' is no folder here.*pretrained_revision"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_a_rung_that_could_not_be_trained_is_refused_before_anything_is_collected(change, message):
    ladder = [rung_of().model_dump(), rung_of(**change).model_dump()]
    with pytest.raises(ParameterError, match=message):
        PreflightHooks().before_cycle_opened(catalog(training={"ladder": ladder}))


@pytest.mark.parametrize("stage", ["training", "evaluation"])
def test_a_device_that_is_not_there_is_refused(stage):
    with pytest.raises(ParameterError, match=f"{stage}.device: torch .* finds no device '{ELSEWHERE}' on this machine"):
        PreflightHooks().before_cycle_opened(catalog(**{stage: HERE.get(stage, {}) | {"device": ELSEWHERE}}))


def test_weights_to_start_from_are_checked(tmp_path):
    def checked(folder="", **changes):
        rung = rung_of(pretrained_path=str(tmp_path / folder / "pretrained_model"), **changes).model_dump()
        PreflightHooks().before_cycle_opened(catalog(training={"ladder": [rung]}))

    untrained(rung_of(), tmp_path)
    checked()
    untrained(rung_of(), tmp_path / "other", features=METAWORLD | numbers(observation__state=9))
    with pytest.raises(CheckpointError, match=r"'observation.state' \(9,\), and the environment has \(4,\)"):
        checked("other")
    with pytest.raises(CheckpointError, match="a checkpoint of 'act', but the rung trains 'vqbet'"):
        checked(policy_type="vqbet", options={})
    (tmp_path / "pretrained_model" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"should be a `pretrained_model` folder.*lacks model.safetensors"):
        checked()


def test_a_suite_that_the_mix_does_not_cover_is_refused_before_it_is_pinned(tmp_path):
    with EnvironmentPool("metaworld_state", {"episode_length": 150}) as pool:
        found = successful_episodes(
            {"reach-v3": 1},
            lambda trials: [demonstrate(trial, pool, 0.0) for trial in trials],
            seed_names=(0,),
            max_attempts_factor=2,
        )
    suite = described("metaworld_state", "reach-v3")
    new = NewEpisodes(tuple(found), suite.features, suite.fps, suite.environment)
    catalog(tmp_path)["mix"].save(new)
    PreflightHooks().before_cycle_opened(catalog(tmp_path, suite={"tasks": ["reach-v3"]}))
    with pytest.raises(CoverageError, match="Push the puck"):
        PreflightHooks().before_cycle_opened(catalog(tmp_path, suite={"tasks": ["reach-v3", "push-v3"]}))
    with pytest.raises(ParameterError, match="Push the puck to a goal"):
        PreflightHooks().before_cycle_opened(catalog(tmp_path, suite={"tasks": ["push-v3", "push-back-v3"]}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"harvest": {"attempts_per_task": 3000}}, "30000 episodes are more than 20000"),
        ({"demonstrations": {"growth_per_task": 1000}}, "40000 episodes are more than 20000"),
        ({"gating": {"max_pairs": 40000}}, "40000 episodes are more than 20000"),
        ({"demonstrations": {"initial_per_task": 900}}, "36000 episodes are more than 20000"),
    ],
)
def test_all_that_the_cycle_may_run_is_within_the_constitution(changes, message):
    with pytest.raises(ConstitutionError, match=message):
        PreflightHooks().before_cycle_opened(catalog(**changes))


def test_every_rung_is_within_the_constitution():
    rungs = [rung.model_dump() for rung in catalog().load("params:training").ladder]
    rungs[-1]["steps"] = 10**9
    with pytest.raises(ConstitutionError, match="1000000000 training steps are more than"):
        PreflightHooks().before_cycle_opened(catalog(training={"ladder": rungs}))


VERSION = "2026-01-01T00.00.00.000Z"
OPENED = {"event": "opened", "cycle": 1, "run_id": VERSION, "pins": {}, "params": {}, "code": None, "at": "now"}
REACH = {"suite": {"tasks": ["reach-v3"]}}


@pytest.fixture
def placed(tmp_path):
    """A mix that somebody put there: of random numbers, one of which is none."""
    source = write_reaches(tmp_path / "source")
    catalog(tmp_path / "mix")["mix"].save(Shards(source))
    (root,) = (tmp_path / "mix").glob("*/mix")
    frames("action", number(12, 1, math.nan))(root)
    return tmp_path / "mix"


def test_a_mix_that_no_cycle_wrote_is_read_before_it_is_pinned(placed):
    with pytest.raises(EpisodesError, match=r"'action' should be finite, 1 frames are not: episode 1.*delete_episodes"):
        PreflightHooks().before_cycle_opened(catalog(placed, **REACH))


def test_what_a_cycle_wrote_is_not_read_again(placed):
    written = catalog(placed, **REACH, training={"ladder": [rung_of().model_dump()]})
    written["ledger"].save(History.of([OPENED]))
    PreflightHooks().before_cycle_opened(written)


def test_a_checkpoint_of_another_environment_is_refused(tmp_path):
    from lerobot.configs import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig

    folder = tmp_path / "pretrained_model"
    state, action = PolicyFeature(FeatureType.STATE, (9,)), PolicyFeature(FeatureType.ACTION, (4,))
    features = {"observation.state": state, "observation.environment_state": state}
    ACTConfig(input_features=features, output_features={"action": action}).save_pretrained(folder)
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (folder / name).write_text('{"steps": []}')
    (folder / "model.safetensors").touch()
    blessed = Checkpoint(path=tmp_path, policy_type="act", rung=0, step=1, digest="d")
    with pytest.raises(
        CheckpointError, match=r"'observation.state' should have the environment's shape \(4,\), has \(9,\)"
    ):
        PreflightHooks().before_cycle_opened(catalog(blessed=blessed))
