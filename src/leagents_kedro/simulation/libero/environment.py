"""What is particular to LIBERO: how an episode begins."""

from typing import TYPE_CHECKING, Any

from leagents_kedro.simulation.environments import Environment, Trial, register

if TYPE_CHECKING:
    import gymnasium as gym


@register("libero")
class Libero(Environment):
    """LIBERO's initial states follow a counter of resets, not the seed; here they follow the seed."""

    def begin(self, env: "gym.Env", trial: Trial) -> dict[str, Any]:
        """Begin from the initial state that the seed stands for."""
        env.unwrapped.init_state_id = trial.seed
        return super().begin(env, trial)
