"""What LeRobot, torch, or a plug-in says when it cannot train a policy, as errors that name parameter and fix."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from leagents_kedro.errors import LeAgentsError, ParameterError
from leagents_kedro.parameters.training import Rung
from leagents_kedro.policies.checkpoints import known_policies

logger = logging.getLogger(__name__)

_BACKBONE = "pretrained_backbone_weights"


@contextmanager
def refusals(rung: Rung, features: dict[str, Any], does: str = "be trained") -> Iterator[None]:
    """Turn the error of a library, while ``rung`` is built, trained on ``features``, or acts, into one of ours.

    Those of the system, as of a full disk, stay as they are: they name themselves.

    Raises:
        ParameterError: It tells the rung, the reason, and the likely fix.
    """
    try:
        yield
    except LeAgentsError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        logger.debug("The rung was refused", exc_info=True)
        raise ParameterError(
            f"training.ladder: '{rung.policy_type}' cannot {does} here: {_in_words(error)}. Fix: "
            f"{_fix(error, rung, features)}"
        ) from error


def _in_words(error: Exception) -> str:
    reason = " ".join(str(error).split()).rstrip(".")
    return reason if isinstance(error, ImportError) else f"{type(error).__name__}: {reason}"


def _fix(error: Exception, rung: Rung, features: dict[str, Any]) -> str:
    import torch

    if isinstance(error, ImportError):
        return "install what is missing, or choose another policy_type"
    if isinstance(error, torch.OutOfMemoryError):
        return "lower training.batch_size, or choose a smaller policy"
    if isinstance(error, OSError) and rung.pretrained_path:
        return f"'{rung.pretrained_path}' must be reachable under pretrained_revision, or downloaded already"
    if isinstance(error, OSError):
        reachable = "what it downloads must be reachable, or downloaded already"
        has_backbone = hasattr(known_policies(rung.policy_type)[rung.policy_type], _BACKBONE)
        return f"{reachable}; or start its backbone anew, with options.{_BACKBONE}: null" if has_backbone else reachable
    given = ", ".join(f"{key} {tuple(feature['shape'])}" for key, feature in features.items() if _is_learnt(key))
    return f"change its options, or choose a policy_type that learns from {given}"


def _is_learnt(key: str) -> bool:
    return key.startswith(("observation.", "action", "next."))
