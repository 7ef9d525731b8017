from leagents_kedro.cli import cli  # noqa: F401
