"""LeRobot imports every module of the package that ``--env.discover_packages_path`` names; this one registers types."""

from leagents_kedro.simulation.environments import register_types

register_types()
