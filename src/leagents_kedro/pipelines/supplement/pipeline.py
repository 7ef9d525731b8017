"""The supplement pipeline: run where the suite has tasks without episodes, before the next cycle."""

from kedro.pipeline import Node, Pipeline

from .nodes import append_demonstrations, demonstrate_added_tasks


def create_pipeline() -> Pipeline:
    """Return the pipeline that has experts demonstrate what the mix lacks, and appends it."""
    return Pipeline(
        [
            Node(
                func=demonstrate_added_tasks,
                inputs=[
                    "mix",
                    "params:suite",
                    "params:demonstrations",
                    "params:evaluation",
                    "params:loop.run_seed",
                    "constitution",
                    "recipes",
                ],
                outputs="demonstrations",
                name="demonstrate_added_tasks",
            ),
            Node(
                func=append_demonstrations,
                inputs=["mix", "demonstrations"],
                outputs="next_mix",
                name="append_demonstrations",
            ),
        ],
        namespace="supplement",
        prefix_datasets_with_namespace=False,
    )
