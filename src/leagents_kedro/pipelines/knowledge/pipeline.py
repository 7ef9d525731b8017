"""The knowledge pipeline."""

from kedro.pipeline import Node, Pipeline

from .nodes import distil_lessons, record_cycle, write_page


def create_pipeline() -> Pipeline:
    """Return the pipeline that writes down what a cycle did and taught."""
    return Pipeline(
        [
            Node(
                func=distil_lessons,
                inputs=["decision", "plan", "demonstrations"],
                outputs="lessons",
                name="distil_lessons",
            ),
            Node(
                func=write_page,
                inputs=["plan", "selection", "candidate", "decision", "outcomes", "lessons"],
                outputs="experiment_page",
                name="write_page",
            ),
            Node(
                func=record_cycle,
                inputs=[
                    "plan",
                    "selection",
                    "mix",
                    "next_mix",
                    "candidate",
                    "outcomes",
                    "decision",
                    "demonstrations",
                ],
                outputs="cycle_record",
                name="record_cycle",
            ),
        ],
        namespace="knowledge",
        prefix_datasets_with_namespace=False,
    )
