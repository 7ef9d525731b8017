"""LeRobot's environments."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import no_such

if TYPE_CHECKING:
    from lerobot.envs.configs import EnvConfig


def environment_config(environment: str, task: str | None, options: dict[str, Any]) -> "EnvConfig":
    """Return LeRobot's configuration of ``task`` (None: the type's default) in an environment of a registered type.

    Raises:
        ParameterError: The type or an option is unknown, or LeRobot refuses an option's value.
    """
    from lerobot.envs.configs import EnvConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    import leagents_kedro.simulation.metaworld.config  # noqa: F401  (registers its type)

    if environment not in EnvConfig.get_known_choices():
        register_third_party_plugins()
    choices = EnvConfig.get_known_choices()
    if environment not in choices:
        raise ParameterError(no_such("environment type", environment, choices))
    config_class = choices[environment]
    known = [field.name for field in fields(config_class) if field.name != "task"]
    for option in options:
        if option not in known:
            raise ParameterError(no_such(f"option of environment {environment}", option, known))
    try:
        return config_class(**options) if task is None else config_class(task=task, **options)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"environment {environment} refuses options {options}: {error}") from error
