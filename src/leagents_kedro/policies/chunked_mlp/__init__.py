"""A chunked MLP: behaviour cloning for observations that are vectors, as a policy type of LeRobot.

The loop knows ``chunked_mlp`` by itself; `lerobot-train` imports it with
``--policy.discover_packages_path=leagents_kedro.policies.chunked_mlp``. `lerobot-eval` cannot take that option beside
``--policy.path``; ``--env.discover_packages_path=leagents_kedro.simulation`` registers it there.
"""
