"""Every private name of a library that is used stands in docs/dependencies.md, and exists."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
ROWS = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs" / "dependencies.md").read_text(), flags=re.M)


def found(name: str) -> Any:
    """Return what a dotted name stands for: a module, or a part of one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            here: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            here = getattr(here, part)
        return here
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", ROWS)
def test_a_private_name_exists(name: str) -> None:
    try:
        found(name)
    except AttributeError:  # of instances, which the class makes
        owner, attribute = found(name.rpartition(".")[0]), name.rpartition(".")[2]
        modules = {one.__module__ for one in inspect.getmro(owner)} - {"builtins"}
        text = "".join(inspect.getsource(import_module(module)) for module in modules)
        assert re.search(rf"\bself\.{attribute}\b", text), f"{name} is gone; docs/dependencies.md says what for"


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(tree: ast.AST) -> set[str]:
    """Return what a file defines: functions, classes, variables, arguments, and attributes that are assigned."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                names.add(name)
    return names


def test_no_other_private_name_is_used() -> None:
    trees = {file: ast.parse(file.read_text()) for file in SOURCES}
    own = set().union(*map(own_names, trees.values()))
    listed = {part for name in ROWS for part in name.split(".")}
    public = {"_exit"}  # of os
    used: dict[str, str] = {}
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and private(node.attr):
                used[node.attr] = file.name
            if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("leagents_kedro"):
                used |= {alias.name: file.name for alias in node.names if private(alias.name)}
    foreign = {name: file for name, file in used.items() if name not in own | public}
    assert foreign.keys() <= listed, f"name these in docs/dependencies.md: {foreign.keys() - listed}"
