"""The training pipeline."""

from kedro.pipeline import Node, Pipeline

from .nodes import train_candidate


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains the candidate."""
    return Pipeline(
        [
            Node(
                func=train_candidate,
                inputs=[
                    "mix",
                    "selection",
                    "plan",
                    "head",
                    "blessed",
                    "training_workspace",
                    "frame_cache",
                    "params:training",
                    "params:loop.run_seed",
                    "constitution",
                ],
                outputs="candidate",
                name="train_candidate",
                tags="device",
            ),
        ],
        namespace="training",
        prefix_datasets_with_namespace=False,
    )
