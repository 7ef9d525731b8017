"""LeRobot imports every module of the package that ``--env.discover_packages_path`` names; this one registers types.

Policies are among them, since ``lerobot-eval --policy.path`` takes no ``--policy.discover_packages_path``.
"""

from leagents_kedro.policies.checkpoints import register_policies
from leagents_kedro.simulation.environments import register_types

register_types()
register_policies()
