from kedro.pipeline import Node, Pipeline

from loop_project.pipelines.cycle import train


def create_pipeline() -> Pipeline:
    inputs = ["mix", "plan", "head", "training_workspace", "params:training"]
    return Pipeline([Node(func=train, inputs=inputs, outputs="candidate", name="train")])
