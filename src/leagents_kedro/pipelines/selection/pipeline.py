"""The selection pipeline."""

from kedro.pipeline import Node, Pipeline

from leagents_kedro.simulation.suites import resolve_suite

from .nodes import propose_plan, review_plan, select_episodes


def create_pipeline() -> Pipeline:
    """Return the pipeline that resolves the suite, plans a cycle, and selects its episodes."""
    return Pipeline(
        [
            Node(
                func=resolve_suite,
                inputs=["params:suite", "params:evaluation", "constitution"],
                outputs="suite",
                name="resolve_suite",
            ),
            Node(
                func=propose_plan,
                inputs=[
                    "ledger",
                    "head",
                    "blessed",
                    "suite",
                    "params:training",
                    "params:gating",
                    "params:harvest",
                    "params:demonstrations",
                ],
                outputs="proposal",
                name="propose_plan",
            ),
            Node(
                func=review_plan,
                inputs=["proposal", "constitution", "suite", "params:training"],
                outputs="plan",
                name="review_plan",
            ),
            Node(
                func=select_episodes,
                inputs=["mix", "suite", "params:selection"],
                outputs="selection",
                name="select_episodes",
            ),
        ],
        namespace="selection",
        prefix_datasets_with_namespace=False,
    )
