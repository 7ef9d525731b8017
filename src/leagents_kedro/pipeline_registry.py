"""The pipelines of the project, found by their folders."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines by name; the default one is the cycle."""
    pipelines = find_pipelines(raise_errors=True)
    if "cycle" in pipelines:  # Kedro loads only the pipelines that a command names
        pipelines["__default__"] = pipelines["cycle"]
    return pipelines
