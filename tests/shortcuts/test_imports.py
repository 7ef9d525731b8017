"""In processes of their own: this one may have imported torch's compiler."""

import subprocess
import sys

import pytest

_START = """
import sys
from leagents_kedro.shortcuts.imports import import_libraries
import_libraries("torchvision.transforms.v2")
import torch
def has_compiler():
    return "torch._dynamo.symbolic_convert" in sys.modules or "sympy" in sys.modules
"""
_TRAIN = """
attention = torch.nn.MultiheadAttention(4, 1)
tokens = torch.ones(2, 3, 4)
optimizer = torch.optim.AdamW(attention.parameters())
attention(tokens, tokens, tokens, key_padding_mask=torch.zeros(3, 2, dtype=torch.bool))[0].sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
"""


def test_training_does_without_the_compiler_and_torch_compile_gets_it() -> None:
    compile_a_function = """
@torch.compiler.disable
def left_alone(x):
    return x.cos()
graphs = []
def backend(graph, example):
    graphs.append(str(graph.graph))
    return graph.forward
assert torch.compile(lambda x: left_alone(x.sin()) + 1, backend=backend)(torch.zeros(1)) == 2
assert has_compiler() and graphs and not any("cos" in graph for graph in graphs), graphs
optimizer.step()
"""
    _run(_START + _TRAIN + "assert not has_compiler()" + compile_a_function)


@pytest.mark.parametrize(
    "use",
    [
        "import torch._dynamo.config; assert torch._dynamo.config is sys.modules['torch._dynamo.config']",
        "layer = torch.compiler.disable(torch.nn.Linear(1, 1), recursive=True); assert layer.weight.shape == (1, 1)",
        "assert sys.modules['torchvision.ops.roi_align'].is_compile_supported('cpu') in (False, True)",
    ],
)
def test_who_asks_for_more_of_the_compiler_gets_it(use: str) -> None:
    _run(_START + use + "\nassert has_compiler()")


def _run(program: str) -> None:
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
