"""What a function holds that no file says: the values in its closure and its defaults, and the code of one without a file."""

from __future__ import annotations

import dis
import functools
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from robench.entries.calls import Call, Json, call_to_json
from robench.errors import UsageError
from robench.hashing import digest, tensor_bytes

BUILT_IN = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType)

SPELLED = {("torch", name) for name in ("dtype", "device", "layout", "memory_format")} | {
    ("types", "GenericAlias"),
    ("types", "UnionType"),
}
"""Kinds whose values are as they are written."""


class Reader:
    """Spells values out as JSON, so that two that do the same are spelled alike, in every process.

    Attributes:
        modules: names of the modules that what was read is from.

    Args:
        owner: the function that is asked about, for messages.
        own_file: (name of a module) → whether it is the user's own: neither robench's nor installed; None: it is in no file.
    """

    def __init__(self, owner: str, own_file: Callable[[str], bool | None]) -> None:
        self.modules: set[str] = set()
        self._owner = owner
        self._own_file = own_file
        self._places: dict[int, int] = {}
        self._alive: list[object] = []

    def held(self, function: Callable[..., Any]) -> Json:
        """The values in a function's closure and its defaults; None where there are none.

        Raises:
            UsageError: one is of a kind that cannot be spelled out.
        """
        defaults = getattr(function, "__defaults__", None) or ()
        cells = [*_cells(function)]
        if not cells and not defaults:
            return None
        return [[self.value(value, "a default") for value in defaults], *self._closure(function)]

    def code_of(self, function: types.FunctionType) -> Json:
        """A function in no file: its code, and the values of the module around it that the code names."""
        names = dict.fromkeys(_globals(function.__code__))
        around = {name: function.__globals__[name] for name in names if name in function.__globals__}
        self.modules |= set(_imports(function.__code__))
        self._remember(function)
        spelled: dict[str, Json] = {name: self.value(value, repr(name)) for name, value in around.items()}
        return [self._code(function.__code__), spelled]

    def value(self, value: Any, name: str) -> Json:
        """Any value.

        Args:
            name: how it is called in a message.
        """
        kind = type(value)
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | range | slice):
            return [kind.__name__, repr(value)]
        if value is Ellipsis or value is NotImplemented or isinstance(value, PurePath | np.generic | np.dtype):
            return [kind.__name__, str(value)]
        if isinstance(value, Call):
            return ["Call", call_to_json(value)]
        if kind.__module__ == "robench.entries.registry":
            return [kind.__name__, value.kind]
        if isinstance(value, Enum):
            return [self.value(kind, name), value.name]
        if (kind.__module__, kind.__name__) in SPELLED or (kind.__module__ == "typing" and "Alias" in kind.__name__):
            return [kind.__name__, repr(value)]
        if id(value) in self._places:
            return ["again", self._places[id(value)]]
        self._remember(value)
        return self._compound(value, name)

    def _remember(self, value: object) -> None:
        self._places[id(value)] = len(self._alive)
        self._alive.append(value)

    def _compound(self, value: Any, name: str) -> Json:
        kind = type(value)
        if isinstance(value, list | tuple):
            return [kind.__name__, *(self.value(item, name) for item in value)]
        if isinstance(value, set | frozenset):
            return [kind.__name__, *sorted(digest(self.value(item, name)) for item in value)]
        if isinstance(value, Mapping):
            pairs = [[self.value(key, name), self.value(item, name)] for key, item in value.items()]
            return [kind.__name__, *pairs]
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                return ["array", [*value.shape], self.value(value.ravel().tolist(), name)]
            return ["array", [*value.shape], str(value.dtype), _bytes_digest(np.ascontiguousarray(value).tobytes())]
        if _is_tensor(value):
            return ["tensor", [*value.shape], str(value.dtype), _bytes_digest(tensor_bytes(value))]
        if isinstance(value, types.ModuleType):
            self.modules.add(value.__name__)
            return ["module", value.__name__]
        if isinstance(value, type):
            return self._class(value, name)
        return self._callable(value, name)

    def _callable(self, value: Any, name: str) -> Json:
        if isinstance(value, types.FunctionType):
            return self._function(value, name)
        if isinstance(value, types.MethodType):
            return ["method", self.value(value.__func__, name), self.value(value.__self__, name)]
        if isinstance(value, functools.partial):
            return [
                "partial",
                self.value(value.func, name),
                self.value([*value.args], name),
                self.value(value.keywords, name),
            ]
        if isinstance(value, staticmethod | classmethod):
            return [type(value).__name__, self.value(value.__func__, name)]
        if isinstance(value, property):
            return ["property", *(self.value(part, name) for part in (value.fget, value.fset))]
        if isinstance(value, (*BUILT_IN, np.ufunc)):
            holder = getattr(value, "__self__", None)
            of = None if holder is None or isinstance(holder, types.ModuleType) else self.value(holder, name)
            return [
                "built-in",
                getattr(value, "__module__", None) or "",
                getattr(value, "__qualname__", value.__name__),
                of,
            ]
        return self._instance(value, name)

    def _function(self, function: types.FunctionType, name: str) -> Json:
        self.modules.add(function.__module__ or "")
        own = self._own_file(function.__module__ or "") if Path(function.__code__.co_filename).is_file() else None
        if own is False:
            return ["installed", function.__module__, function.__qualname__, *self._closure(function, lenient=True)]
        code = self._code(function.__code__) if own else self.code_of(function)
        given = [function.__defaults__, function.__kwdefaults__]
        return ["function", code, self.value(given, name), *self._closure(function)]

    def _closure(self, function: Callable[..., Any], *, lenient: bool = False) -> list[Json]:
        """Of each variable in a closure, its name and value; `lenient`: one that cannot be spelled out by its kind."""
        found: list[Json] = []
        for name, value in _cells(function):
            try:
                found.append([name, self.value(value, repr(name))])
            except UsageError:
                if not lenient:
                    raise
                found.append([name, type(value).__qualname__])
        return found

    def _code(self, code: types.CodeType) -> Json:
        """Byte code, names, and the constants that it loads, which a function's docstring is not among."""
        loaded = {step.arg for step in dis.get_instructions(code) if step.opcode in dis.hasconst}
        inner: list[Json] = [
            self._code(one) if isinstance(one, types.CodeType) else self.value(one, "a constant")
            for place, one in enumerate(code.co_consts)
            if place in loaded
        ]
        names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
        counts: list[Json] = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
        return [code.co_code.hex(), code.co_exceptiontable.hex(), counts, [[*one] for one in names], inner]

    def _class(self, kind: type, name: str) -> Json:
        self.modules.add(kind.__module__)
        own = self._own_file(kind.__module__)
        if own is False or kind.__module__ == "builtins" or (own and "<locals>" not in kind.__qualname__):
            return ["class", kind.__module__, kind.__qualname__]
        if issubclass(kind, Enum):
            return ["class", kind.__qualname__, [[member.name, self.value(member.value, name)] for member in kind]]
        members: list[Json] = [
            [key, self.value(member, name)]
            for key, member in vars(kind).items()
            if isinstance(member, types.FunctionType) or not (key.startswith("__") or key == "_abc_impl")
        ]
        return ["class", kind.__qualname__, [self.value(base, name) for base in kind.__bases__], members]

    def _instance(self, value: Any, name: str) -> Json:
        """An object whose class is written in Python and that is all in its `__dict__`, such as a module of torch."""
        kind = type(value)
        plain = all(getattr(kind, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__"))
        slots = any(vars(one).get("__slots__") for one in kind.__mro__)
        if not plain or slots or not hasattr(value, "__dict__") or kind is object:
            raise UsageError(
                f"{self._owner} holds {name}, a {kind.__qualname__}, which cannot be hashed, so that its results could not be "
                f"told from those with another; make it an option of {self._owner}, a keyword-only argument, or make it inside"
            )
        return ["instance", self.value(kind, name), self.value({**vars(value)}, name)]


def _cells(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """The variables of a closure that have a value."""
    code = getattr(function, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), getattr(function, "__closure__", None) or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue


def _globals(code: types.CodeType) -> Iterator[str]:
    """Names of the module around it that a code looks up, those of the functions within it too."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals(constant)


def _imports(code: types.CodeType) -> Iterator[str]:
    """Names of what a code may import."""
    module = ""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            module = str(step.argval)
            yield module
        if step.opname == "IMPORT_FROM":
            yield f"{module}.{step.argval}"
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _imports(constant)


def _bytes_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _is_tensor(value: object) -> bool:
    """Without loading torch for it."""
    return any(kind.__module__.startswith("torch") and kind.__name__ == "Tensor" for kind in type(value).__mro__)
