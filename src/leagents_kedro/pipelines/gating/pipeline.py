"""The gating pipeline."""

from kedro.pipeline import Node, Pipeline

from .nodes import approve_decision, decide, publish_blessed


def create_pipeline() -> Pipeline:
    """Return the pipeline that decides, and publishes the blessed checkpoint."""
    return Pipeline(
        [
            Node(
                func=decide,
                inputs=["outcomes", "plan", "ledger", "suite", "params:training", "params:gating"],
                outputs="verdict",
                name="decide",
            ),
            Node(
                func=approve_decision,
                inputs=["verdict", "ledger", "plan", "params:gating"],
                outputs="decision",
                name="approve_decision",
            ),
            Node(
                func=publish_blessed,
                inputs=["decision", "candidate", "blessed"],
                outputs="next_blessed",
                name="publish_blessed",
            ),
        ],
        namespace="gating",
        prefix_datasets_with_namespace=False,
    )
