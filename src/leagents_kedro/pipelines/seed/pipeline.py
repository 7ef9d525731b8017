"""The seed pipeline: run once, before the first cycle."""

from kedro.pipeline import Node, Pipeline

from leagents_kedro.simulation.suites import resolve_suite

from .nodes import seed_mix


def create_pipeline() -> Pipeline:
    """Return the pipeline that writes the first version of the mix."""
    return Pipeline(
        [
            Node(
                func=resolve_suite,
                inputs=["params:suite", "params:evaluation", "constitution"],
                outputs="suite",
                name="resolve_suite",
            ),
            Node(
                func=seed_mix,
                inputs=[
                    "suite",
                    "params:demonstrations",
                    "params:evaluation",
                    "params:loop.run_seed",
                    "constitution",
                ],
                outputs="mix",
                name="seed_mix",
            ),
        ]
    )
