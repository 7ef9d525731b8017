"""Commands that messages tell people to type: for the configuration in force, and the program that is at hand."""

import shlex

_program = "kedro"
_options: tuple[str, ...] = ()


def use_options(**options: str | None) -> None:
    """Have commands name what the one in progress was given, ``env="fast"``, so that they act on the same project."""
    global _options
    _options = tuple(f"--{name.replace('_', '-')}={shlex.quote(value)}" for name, value in options.items() if value)


def use_program(name: str) -> None:
    """Have commands begin with the program of an installed package."""
    global _program
    _program = name


def typed(command: str) -> str:
    """Return what is to be typed for a command of Kedro.

    >>> typed("loop approve 3 --by NAME")
    'kedro loop approve 3 --by NAME'
    """
    return " ".join((_program, command, *_options))
