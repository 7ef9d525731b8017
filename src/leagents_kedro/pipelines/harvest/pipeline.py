"""The harvest pipeline."""

from kedro.pipeline import Node, Pipeline

from .nodes import collect_demonstrations, harvest_rollouts, merge_rollouts


def create_pipeline() -> Pipeline:
    """Return the pipeline that grows the mix."""
    return Pipeline(
        [
            Node(
                func=harvest_rollouts,
                inputs=[
                    "decision",
                    "next_blessed",
                    "plan",
                    "mix",
                    "suite",
                    "params:harvest",
                    "params:evaluation",
                    "params:loop.run_seed",
                    "constitution",
                ],
                outputs="rollouts",
                name="harvest_rollouts",
                tags="device",
            ),
            Node(
                func=collect_demonstrations,
                inputs=[
                    "decision",
                    "candidate",
                    "outcomes",
                    "plan",
                    "mix",
                    "suite",
                    "params:demonstrations",
                    "params:evaluation",
                    "params:loop.run_seed",
                    "constitution",
                    "recipes",
                ],
                outputs="demonstrations",
                name="collect_demonstrations",
                tags="device",
            ),
            Node(
                func=merge_rollouts,
                inputs=["mix", "rollouts", "demonstrations", "plan", "params:harvest"],
                outputs="next_mix",
                name="merge_rollouts",
            ),
        ],
        namespace="harvest",
        prefix_datasets_with_namespace=False,
    )
