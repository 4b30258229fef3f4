"""Files of torch.save, torch.jit.save and pickle as dicts of tensors; see `robench.models.pickles` for what they cannot do."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robench.errors import DataError
from robench.models.pickles import STORAGE, Harmful, Note, bytes_of, is_note_class, items_of, unpickled, whole, words_of

LARGEST = 2**30
"""Bytes of a pickle without its tensors."""
DEEPEST = 30
"""Containers within each other that are looked into."""
LEGACY = 0x1950A86A20F9469CFC6C
"""What torch.save began its files with before 1.6."""
BIG_ENDIAN = "it was written by a machine of another byte order; save it as safetensors there"
KINDS = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
}
ARRAYS = {
    "f4": torch.float32,
    "f8": torch.float64,
    "f2": torch.float16,
    "i8": torch.int64,
    "i4": torch.int32,
    "i2": torch.int16,
    "i1": torch.int8,
    "u8": torch.uint64,
    "u4": torch.uint32,
    "u2": torch.uint16,
    "u1": torch.uint8,
    "c8": torch.complex64,
    "c16": torch.complex128,
    "b1": torch.bool,
}


@dataclass(frozen=True)
class Stored:
    """A tensor that is not read yet: the place of its elements in its storage.

    Attributes:
        read: gives the storage's bytes.
    """

    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    read: Callable[[], bytes]

    def tensor(self) -> Tensor:
        """The tensor itself.

        Raises:
            RuntimeError, TypeError, ValueError: its shape does not fit its storage.
        """
        if 0 in self.shape:
            return torch.zeros(self.shape, dtype=self.dtype)
        elements = bytearray(self.read())
        if not elements or len(elements) % self.dtype.itemsize:
            raise ValueError(f"{len(elements)} bytes are no elements of {self.dtype}")
        flat = torch.frombuffer(elements, dtype=self.dtype)
        return flat.as_strided(self.shape, self.stride, self.offset)


def read_saved(file: Path) -> Any:
    """What a file of torch.save, torch.jit.save or pickle holds: dicts, lists, plain values and `Stored`.

    An object becomes a dict of what it holds. Nothing is run, whatever the file names.

    Raises:
        DataError: it is none, is damaged, or names what runs code.
    """
    try:
        if zipfile.is_zipfile(file):
            return _of_zip(file)
        return _of_stream(io.BytesIO(file.read_bytes()))
    except Harmful as error:
        raise DataError(
            f"{str(file)!r} is refused: it is a pickle that would run code when it is loaded (it names {error}). "
            "Save the weights alone: torch.save(model.state_dict(), path), or as safetensors"
        ) from error
    except DataError as error:
        raise DataError(f"{str(file)!r} cannot be read: {error}") from error
    except Exception as error:  # a damaged pickle may do anything with notes, and all of it fails
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"{str(file)!r} cannot be read as a file of torch.save; it is damaged, or no such file: {reason}"
        ) from error


def _of_zip(file: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = sorted(archive.namelist())
        index = next((name for name in names if name == "data.pkl" or name.endswith("/data.pkl")), None)
        if index is None:
            raise DataError(f"it is a zip archive without the data.pkl of torch.save, with {', '.join(names[:5])}")
        folder = index.removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder").strip() != b"little":
            raise DataError(BIG_ENDIAN)
        if archive.getinfo(index).file_size > LARGEST:
            raise DataError(f"it holds a pickle of more than {LARGEST >> 20} MiB; save the weights alone")
        found = unpickled(io.BytesIO(archive.read(index)))

    @cache
    def elements_of(key: str) -> bytes:
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo(f"{folder}data/{key}").compress_type != zipfile.ZIP_STORED:
                raise DataError("it is compressed, which torch.save does not do")
            return archive.read(f"{folder}data/{key}")

    return _Plain(elements_of).of(found)


def _of_stream(stream: io.BytesIO) -> Any:
    """A bare pickle, or one that torch.save wrote before 1.6: with its storages behind it."""
    found = unpickled(stream)
    if found != LEGACY:
        return _Plain(_nowhere).of(found)
    unpickled(stream)  # the format's version
    _refuse_big_endian(unpickled(stream))
    found, keys = unpickled(stream), unpickled(stream)
    sizes, data = dict(_storages(found)), {}
    for key in map(str, keys):
        (count,) = struct.unpack("<q", stream.read(8))
        data[key] = stream.read(max(0, count) * sizes[key])
    return _Plain(data.__getitem__).of(found)


def _refuse_big_endian(machine: Any) -> None:
    """Refuse what torch.save wrote on a machine of another byte order, by the facts that it wrote about it."""
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise DataError(BIG_ENDIAN)


def _nowhere(key: str) -> bytes:
    raise DataError(f"the elements of a tensor, {key!r}, are not in it")


def _storages(found: Any) -> Iterator[tuple[str, int]]:
    """The keys of the storages below, with the bytes of an element."""
    seen: set[int] = set()
    waiting = [found]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Note):
            if node.state == STORAGE and len(node.args) > 2:
                yield str(node.args[2]), _kind(node.args[1]).itemsize
            waiting += [*node.args, node.state, *node.items.values(), *node.values]
        elif isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list | tuple):
            waiting += node


def _kind(storage: Any) -> torch.dtype:
    word = str(getattr(storage, "named", "")).rpartition(".")[2].removesuffix("Storage")
    if word not in KINDS:
        raise DataError(f"a tensor in it is of an unknown kind ({word or type(storage).__name__})")
    return KINDS[word]


class _Plain:
    """Containers and tensors in place of the notes of them; in place of any other note, what it holds."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self.read = read
        self.made: dict[int, Any] = {}

    def of(self, node: Any, depth: int = 0) -> Any:
        if isinstance(node, str | int | float | bool | None):
            return node
        if id(node) not in self.made:
            self.made[id(node)] = None  # where it holds itself
            self.made[id(node)] = self._of(node, depth + 1) if depth < DEEPEST else None
        return self.made[id(node)]

    def _of(self, node: Any, depth: int) -> Any:
        if isinstance(node, dict):
            return {str(key): self.of(value, depth) for key, value in node.items() if isinstance(key, str | int)}
        if isinstance(node, list | tuple):
            return {str(place): self.of(value, depth) for place, value in enumerate(node)}
        if not isinstance(node, Note):
            return None
        name = node.named.rpartition(".")[2]
        if name == "_rebuild_from_type_v2" and is_note_class(node.args[0]):  # a tensor with attributes
            return self.of(node.args[0](*node.args[2]), depth)
        if name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return self.of(node.args[0], depth)
        if name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"):
            return self._stored(node)
        if name == "_reconstruct" and node.named.startswith("numpy."):
            return _array(node.state)
        if name == "_frombuffer" and node.named.startswith("numpy.") and len(node.args) == 4:
            elements, kind, shape, order = node.args
            return _array((0, shape, kind, order == "F", elements))
        return self._members(node, depth)

    def _members(self, node: Note, depth: int) -> dict[str, Any]:
        """Items and attributes of an object; of a module those of its buffers that are saved."""
        state = node.state[0] if isinstance(node.state, tuple) and node.state else node.state
        found = dict(state) if isinstance(state, dict) else {}
        passing = set(words_of(found.pop("_non_persistent_buffers_set", None)))
        if passing:
            found["_buffers"] = {k: v for k, v in items_of(found.get("_buffers")).items() if k not in passing}
        found |= items_of(node) | dict(enumerate(node.values))
        return {str(key): self.of(value, depth) for key, value in found.items() if isinstance(key, str | int)}

    def _stored(self, node: Note) -> Stored | None:
        storage, offset, shape, stride = node.args[:4]
        if isinstance(storage, Note) and storage.named == "torch.storage._load_from_bytes":
            storage, read = _of_bytes(storage.args[0])  # in a bare pickle: a file of torch.save within it
        else:
            read = self.read
        if not isinstance(storage, Note) or storage.state != STORAGE:
            return None
        key, dtype = str(storage.args[2]), _kind(storage.args[1])
        if len(node.args) > 6 and is_note_class(node.args[6]):
            dtype = getattr(torch, node.args[6].named.removeprefix("torch."))
        return Stored(dtype, int(offset), whole(shape), whole(stride), lambda: read(key))


def _of_bytes(content: Any) -> tuple[Any, Callable[[str], bytes]]:
    stream = io.BytesIO(bytes_of(content))
    unpickled(stream), unpickled(stream)
    _refuse_big_endian(unpickled(stream))
    storage, keys = unpickled(stream), unpickled(stream)
    (count,) = struct.unpack("<q", stream.read(8))
    data = {str(keys[0]): stream.read(max(0, count) * dict(_storages(storage))[str(keys[0])])}
    return storage, data.__getitem__


def _array(state: Any) -> Stored | None:
    """An array of numpy, from its version, shape, type, order and elements."""
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], Note):
        return None
    shape, kind = whole(state[1]), state[2]
    code = str(kind.args[0]).lstrip("<>|=")
    if code not in ARRAYS or isinstance(state[4], list):
        return None
    turned = str(kind.args[0]).startswith(">") or (isinstance(kind.state, tuple) and kind.state[1:2] == (">",))
    order = shape if not state[3] else shape[::-1]
    strides = [1]
    for side in order[:0:-1]:
        strides.append(strides[-1] * side)
    stride = strides[: len(shape)][::-1] if not state[3] else strides[: len(shape)]

    def elements() -> bytes:
        content = bytes_of(state[4])
        unit = ARRAYS[code].itemsize // (2 if code.startswith("c") else 1)
        return np.frombuffer(content, f"V{unit}").view(f">u{unit}").astype(f"<u{unit}").tobytes() if turned else content

    return Stored(ARRAYS[code], 0, shape, tuple(stride), elements)
