"""The seed pipeline: run once, before the first cycle."""

from kedro.pipeline import Node, Pipeline

from .nodes import seed_mix


def create_pipeline() -> Pipeline:
    """Return the pipeline that writes the first version of the mix."""
    return Pipeline(
        [
            Node(
                func=seed_mix,
                inputs=[
                    "params:suite",
                    "params:demonstrations",
                    "params:evaluation",
                    "params:loop.run_seed",
                    "constitution",
                    "recipes",
                ],
                outputs="mix",
                name="seed_mix",
            ),
        ],
        namespace="seed",
        prefix_datasets_with_namespace=False,
    )
