"""The selection pipeline."""

from kedro.pipeline import Node, Pipeline

from .nodes import propose_plan, select_episodes


def create_pipeline() -> Pipeline:
    """Return the pipeline that plans a cycle and selects its episodes."""
    return Pipeline(
        [
            Node(
                func=propose_plan,
                inputs=["ledger", "blessed", "params:training", "params:gating"],
                outputs="plan",
                name="propose_plan",
            ),
            Node(
                func=select_episodes,
                inputs=["mix", "params:suite", "params:selection"],
                outputs="selection",
                name="select_episodes",
            ),
        ]
    )
