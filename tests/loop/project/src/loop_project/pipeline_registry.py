from leagents_kedro.pipeline_registry import register_pipelines  # noqa: F401
