"""The cycle: what ``CycleSession`` repeats."""

from kedro.pipeline import Pipeline

from leagents_kedro.pipelines import evaluation, gating, harvest, knowledge, selection, training


def create_pipeline() -> Pipeline:
    """Return one whole cycle: select, train, evaluate, decide, harvest and merge, learn."""
    stages = (selection, training, evaluation, gating, harvest, knowledge)
    return sum((stage.create_pipeline() for stage in stages), start=Pipeline([]))
