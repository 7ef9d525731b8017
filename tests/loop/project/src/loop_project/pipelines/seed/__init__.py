from kedro.pipeline import Node, Pipeline

from leagents_kedro.records import Selection


def seed_mix(run_seed: int) -> Selection:
    return Selection(episodes={"seed": (run_seed,)})


def create_pipeline() -> Pipeline:
    return Pipeline([Node(func=seed_mix, inputs="params:loop.run_seed", outputs="mix", name="seed_mix")])
