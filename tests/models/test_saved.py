"""Files of other tools: read in every format, never run, damaged ones refused in one message."""

from __future__ import annotations

import collections
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign import answers, expected, loaded, network, of_tools, own_file, under
from safetensors.torch import save_file

from robench import DataError, RobenchError
from robench.models.saved import Stored, read_saved


@pytest.fixture(autouse=True)
def own_entries() -> None:
    own_file()


@pytest.mark.parametrize("kind", of_tools())
@pytest.mark.parametrize("arch", ["own", "behind"])
def test_weights_of_other_tools_are_loaded(kind: str, arch: str) -> None:
    torch.save(of_tools()[kind], "w.pt")
    mean, std = (0.3, 0.4) if arch == "behind" else (0.0, 1.0)
    close = {"atol": 2e-2} if kind == "half" else {"atol": 1e-6}
    assert torch.allclose(answers(loaded(arch=arch)), expected(mean, std), **close)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("way", ["zip", "before 1.6", "pickle", "numpy", "script"])
def test_every_format_gives_the_same_tensors(way: str, protocol: int) -> None:
    weights = network().state_dict() | {
        "turned": torch.rand(4, 3).t(),
        "part": torch.rand(10)[3:7],
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
        "short": torch.rand(3).bfloat16(),
        "one": torch.tensor(3.0),
    }
    if way == "zip":
        torch.save(weights, "w.pt", pickle_protocol=protocol)
    elif way == "before 1.6":
        torch.save(weights, "w.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    elif way == "pickle":
        Path("w.pt").write_bytes(pickle.dumps(weights, protocol=protocol))
    elif way == "numpy":
        weights.pop("short")
        arrays = {name: tensor.numpy() for name, tensor in weights.items()}
        arrays["turned"] = np.asfortranarray(arrays["turned"])
        Path("w.pt").write_bytes(pickle.dumps(arrays, protocol=protocol))
    elif way == "script":
        weights = network().state_dict()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch.jit, which is deprecated
            torch.jit.save(torch.jit.script(network()), "w.pt")
    found = dict(_flat(read_saved(Path("w.pt"))))
    assert found.keys() == weights.keys()
    for name, tensor in weights.items():
        assert found[name].tensor().dtype == tensor.dtype, name
        assert torch.equal(found[name].tensor(), tensor), name


def test_safetensors_are_loaded_whatever_their_files_are_called() -> None:
    save_file(under("module.", network().state_dict()), "w.pt")
    assert torch.equal(answers(loaded()), expected())


def _flat(node: Any, name: str = "") -> Any:
    if isinstance(node, Stored):
        yield name, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f"{name}.{key}" if name else key)


class Runs:
    """Runs code when it is unpickled."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def touch(name: str) -> None:
    Path(name).touch()


class Sets:
    """Has a `__setstate__` that runs code."""

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def __setstate__(self, state: dict[str, int]) -> None:
        Path("run").touch()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    "evil",
    [
        Runs(os.system, "touch run"),
        Runs(exec, "open('run', 'w')"),
        Runs(eval, "open('run', 'w')"),
        Runs(open, "run", "w"),
        Runs(touch, "run"),
        Runs(Path.touch, Path("run")),
        Runs(getattr, Path("run"), "touch"),
        Runs(map, touch, ["run"]),
        Runs(pickle.loads, pickle.dumps(Runs(touch, "run"))),
        Runs(torch.load, "other.pt"),
        Runs(np.load, "other.npy"),
        Runs(collections.Counter, Runs(touch, "run")),
        Sets(),
    ],
    ids=lambda evil: getattr(getattr(evil, "call", ["a state"])[0], "__qualname__", "a state"),
)
def test_nothing_of_a_pickle_is_run(evil: Any, old: bool) -> None:
    content = {"model": network().state_dict(), "args": evil}
    torch.save(content, "w.pt", _use_new_zipfile_serialization=not old)
    Path("other.pt").write_bytes(pickle.dumps(Runs(touch, "run")))
    try:
        assert torch.equal(answers(loaded()), expected())  # inert, or
    except DataError as error:
        assert "refused" in str(error)
    assert not Path("run").exists()


def test_a_pickle_cannot_change_what_reads_it() -> None:
    """BUILD with a state for slots sets attributes of whatever a name stands for."""
    code = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N}q\x00X\x0c\x00\x00\x00__defaults__K\x01s\x86b."
    Path("w.pt").write_bytes(code.replace(b"(N}", b"N}"))
    with pytest.raises(DataError, match="damaged"):
        loaded()
    torch.save(network().state_dict(), "w.pt")
    assert torch.equal(answers(loaded()), expected())


@pytest.mark.parametrize("cut", [0, 1, 10, 200, 0.5, 0.9])
def test_a_damaged_file_is_one_message(cut: float) -> None:
    for old in (False, True):
        torch.save(network().state_dict(), "w.pt", _use_new_zipfile_serialization=not old)
        whole = Path("w.pt").read_bytes()
        Path("w.pt").write_bytes(whole[: int(len(whole) * cut) if cut < 1 else int(cut)])
        with pytest.raises(RobenchError, match=r"w\.pt"):
            loaded()


def test_changed_bytes_are_one_message_wherever_they_are() -> None:
    """Also of elements, which are read last."""
    torch.save(network().state_dict(), "w.pt")
    whole = Path("w.pt").read_bytes()
    refused = 0
    for place in range(0, len(whole), 61):
        Path("w.pt").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            loaded()
        except RobenchError as error:
            assert "w.pt" in str(error)
            refused += 1
    assert refused > 20


def test_arrays_of_another_byte_order_are_turned_round() -> None:
    arrays = {name: tensor.numpy() for name, tensor in network().state_dict().items()}
    for protocol in (2, 5):
        turned = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays.items()}
        Path("w.pt").write_bytes(pickle.dumps(turned, protocol=protocol))
        assert torch.equal(answers(loaded()), expected())
    found = dict(_flat(read_saved(_saved({"c": np.array([1 + 2j], ">c8"), "h": np.array([5, 258], ">u2")}))))
    assert found["c"].tensor().tolist() == [1 + 2j]
    assert found["h"].tensor().tolist() == [5, 258]


def _saved(content: Any) -> Path:
    Path("other.pkl").write_bytes(pickle.dumps(content))
    return Path("other.pkl")


def test_a_file_of_torch_from_a_big_endian_machine_is_refused() -> None:
    torch.save(network().state_dict(), "w.pt", _use_new_zipfile_serialization=False)
    whole = Path("w.pt").read_bytes()
    place = whole.index(b"little_endian")
    Path("w.pt").write_bytes(whole[:place] + whole[place:].replace(b"\x88", b"\x89", 1))
    with pytest.raises(DataError, match="another byte order"):
        loaded()
