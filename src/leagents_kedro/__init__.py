"""leagents_kedro: an unattended robot-learning loop over LeRobot, as a Kedro project."""

__version__ = "0.1.0"
