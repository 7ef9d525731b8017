"""``--params``, as people write it: numbers that are names stay text, lists have items."""

import re
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from leagents_kedro.errors import ParameterError
from leagents_kedro.loop.provenance import merge_parameters

_SEPARATOR = re.compile(r"[,\[\](){}]|'[^']*'|\"[^\"]*\"")
_NAME_LIKE = re.compile(r"0\d+|(?=[\de]{7,}$)\d+e\d+")


def reads_as_name(text: str) -> bool:
    """Whether ``text``, which YAML takes for a number, is rather a name: ``007``, or a git revision such as 12e4567.

    >>> [reads_as_name(text) for text in ("007", "12e4567", "7", "1e5", "0.5", "0")]
    [True, True, False, False, False, False]
    """
    return _NAME_LIKE.fullmatch(text) is not None


def assignments(text: str) -> dict[str, Any]:
    """Return the parameters that ``key=value,key.key=[value,value]`` says, nested.

    Raises:
        ParameterError: A part of it is no assignment, or its value no YAML.
    """
    parts = []
    for part in filter(None, map(str.strip, _parts(text))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key or not equals:
            raise ParameterError(f"expected key=value, separated by commas, got {part!r}")
        parts.append(f"{key}='{value}'" if reads_as_name(value) else f"{key}={value}")
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist(parts))  # type: ignore[return-value]
    except (YAMLError, OmegaConfBaseException) as error:
        raise ParameterError(f"expected values in YAML, got {text!r}: {' '.join(str(error).split())}") from error


def _parts(text: str) -> list[str]:
    """Split at the commas that are in no bracket and in no quotes."""
    depth, start, parts = 0, 0, []
    for match in _SEPARATOR.finditer(text):
        if match[0] == "," and depth <= 0:
            parts.append(text[start : match.start()])
            start = match.end()
        depth += (match[0] in set("[({")) - (match[0] in set("])}"))
    return [*parts, text[start:]]


def by_item(given: Any, present: Any, name: str) -> Any:
    """Return ``given`` with whole lists where it names items of them: ``training.ladder.0.steps`` changes one.

    Args:
        given: Parameters of a command, nested.
        present: Those that they change.
        name: How they are called in messages.

    Raises:
        ParameterError: A list has no such item.
    """
    if not isinstance(given, dict):
        return given
    if isinstance(present, list):
        return _with_items(given, present, name)
    known = present if isinstance(present, dict) else {}
    return {key: by_item(value, known.get(key), f"{name}.{key}".lstrip(".")) for key, value in given.items()}


def _with_items(given: dict[Any, Any], present: list[Any], name: str) -> list[Any]:
    items = list(present)
    for key, value in given.items():
        if not str(key).isdecimal() or int(key) >= len(items):
            raise ParameterError(
                f"{name}.{key}: {name} is a list of {len(items)}; name an item by its number, counted from 0, as in "
                f"{name}.0, or give the whole list, {name}=[...]"
            )
        changed, item = by_item(value, items[int(key)], f"{name}.{key}"), items[int(key)]
        both = isinstance(changed, dict) and isinstance(item, dict)
        items[int(key)] = merge_parameters(item, changed) if both else changed
    return items
