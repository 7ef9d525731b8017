"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from .nodes import evaluate_candidate


def create_pipeline() -> Pipeline:
    """Return the pipeline that measures the candidate beside the blessed checkpoint."""
    return Pipeline(
        [
            Node(
                func=evaluate_candidate,
                inputs=[
                    "candidate",
                    "blessed",
                    "previous_outcomes",
                    "plan",
                    "evaluation_workspace",
                    "suite",
                    "params:evaluation",
                    "params:gating",
                    "params:loop.run_seed",
                    "constitution",
                ],
                outputs="outcomes",
                name="evaluate_candidate",
                tags="device",
            ),
        ],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )
