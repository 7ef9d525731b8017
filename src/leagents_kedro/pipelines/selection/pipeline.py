"""The selection pipeline."""

from kedro.pipeline import Node, Pipeline

from .nodes import propose_plan, review_plan, select_episodes


def create_pipeline() -> Pipeline:
    """Return the pipeline that plans a cycle and selects its episodes."""
    return Pipeline(
        [
            Node(
                func=propose_plan,
                inputs=["ledger", "blessed", "params:training", "params:gating"],
                outputs="proposal",
                name="propose_plan",
            ),
            Node(
                func=review_plan,
                inputs=[
                    "proposal",
                    "constitution",
                    "params:suite",
                    "params:demonstrations",
                    "params:training",
                    "params:gating",
                    "params:harvest",
                ],
                outputs="plan",
                name="review_plan",
            ),
            Node(
                func=select_episodes,
                inputs=["mix", "params:suite", "params:selection"],
                outputs="selection",
                name="select_episodes",
            ),
        ]
    )
