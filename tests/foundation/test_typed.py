import ast
import re
from pathlib import Path

import pytest

from leagents_kedro.foundation import typed as module
from leagents_kedro.foundation.typed import typed, use_options, use_program
from support.parameters import ROOT


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    for name in ("_program", "_options"):
        monkeypatch.setattr(module, name, getattr(module, name))


def test_a_command_names_what_this_one_was_given():
    use_options(env=None, conf_source=None)
    assert typed("loop approve 3 --by NAME") == "kedro loop approve 3 --by NAME"
    use_options(env="fast", conf_source="other conf")
    assert typed("run") == "kedro run --env=fast --conf-source='other conf'"


def test_a_package_has_a_program_of_its_own():
    use_options()
    use_program("leagents-kedro")
    assert typed("run --pipelines=seed") == "leagents-kedro run --pipelines=seed"
    assert typed("loop rebase --by NAME") == "leagents-kedro loop rebase --by NAME"


def texts(source: Path) -> list[str]:
    """Every text in a module that is no docstring."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in alone]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_no_message_words_a_command_by_itself():
    sources = sorted(Path(ROOT, "src").rglob("*.py"))
    wording = [
        (source.name, text) for source in sources for text in texts(source) if re.search(r"kedro (loop|run)\b", text)
    ]
    assert wording == []
