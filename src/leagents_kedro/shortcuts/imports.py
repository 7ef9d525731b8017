"""Imports of the large libraries in less time: without a search for garbage, and without torch's compiler.

torch's optimizers and attention, torchvision, and LeRobot import the compiler for next to nothing: to tell it what it
shall leave alone. As long as nothing is compiled, stand-ins for its modules take that; whoever wants more gets it all.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_UTILS = "torch._dynamo.utils"
_SHAPES = "torch.fx.experimental.symbolic_shapes"


def import_libraries(*modules: str) -> None:
    """Import ``modules`` at the start of a process, in about half of the time.

    Of their million objects next to none are garbage. Later collections leave out all that there is by now.
    """
    if not {_COMPILER, _SHAPES} & set(sys.modules):
        sys.meta_path.insert(0, _Finder())
    gc.disable()
    try:
        for module in modules:
            import_module(module)
        gc.freeze()
    finally:
        gc.enable()


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # which Python asks of any module
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


class _Compiler(_StandIn):
    @staticmethod
    def disable(function: Any = None, *args: Any, **options: Any) -> Any:
        if not isinstance(function, FunctionType):
            return _real(_COMPILER).disable(function, *args, **options)
        called: Callable[..., Any] = function

        @wraps(function)
        def disabled(*arguments: Any, **named: Any) -> Any:
            nonlocal called
            if called is function and not isinstance(sys.modules.get(_COMPILER), _StandIn):
                called = _real(_COMPILER).disable(function, *args, **options)
            return called(*arguments, **named)

        vars(disabled)["_torchdynamo_disable"] = True  # what the compiler looks for
        return disabled

    @staticmethod
    def graph_break(msg: str = "") -> None:
        pass


class _Utils(_StandIn):
    @staticmethod
    def is_compile_supported(device_type: Any) -> Any:
        return _real(_UTILS).is_compile_supported(device_type)


class _Shapes(_StandIn):
    @staticmethod
    def expect_true(condition: Any, skip: int = 0) -> Any:
        return condition if type(condition) is bool else _real(_SHAPES).expect_true(condition, skip + 1)


_STAND_INS: dict[str, type[_StandIn]] = {_COMPILER: _Compiler, _UTILS: _Utils, _SHAPES: _Shapes}


class _Finder(MetaPathFinder, Loader):
    """Finds the stand-ins; any other module of the compiler is found after importing all of it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in _STAND_INS:
            return ModuleSpec(name, self, is_package=name == _COMPILER)
        if not name.startswith(f"{_COMPILER}."):
            return None
        path = _real(_COMPILER).__path__
        return ModuleSpec(name, self) if name in sys.modules else PathFinder.find_spec(name, path)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules.get(spec.name) or _STAND_INS[spec.name](spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _real(name: str) -> Any:
    """Return a module of the compiler, imported in the place of the stand-ins."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for stand_in in _STAND_INS:
        if isinstance(sys.modules.get(stand_in), _StandIn):
            del sys.modules[stand_in]
    return import_module(name)
