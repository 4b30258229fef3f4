"""Weights of other tools: loaded or one message, never run; the normalisation in front is declared, printed and hashed."""

from __future__ import annotations

import argparse
import collections
import os
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import small_run
from safetensors.torch import save_file
from torch import Tensor, nn

from robench import DATASETS, DataError, Places, Recipe, RobenchError, Task, UsageError, load_weights, recipe_of
from robench.data.splits import Split, Splits
from robench.models.saved import Stored, read_saved
from robench.training.checkpoints import Checkpoint

TASK = Task((1, 8, 8), 10, 1000, (0.3,), (0.4,))
ARCH = """
from torch import nn
import robench
@robench.defense()
def own(task: robench.Task) -> robench.Recipe:
    \"\"\"A network without normalisation.\"\"\"
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    return robench.Recipe(net, robench.Schedule(steps=0))
@robench.defense()
def behind(task: robench.Task) -> robench.Recipe:
    \"\"\"The same behind robench's normalisation.\"\"\"
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    return robench.Recipe(nn.Sequential(robench.Normalize(task.mean, task.std), net), robench.Schedule(steps=0))
"""
Named = dict[str, Tensor]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    net(torch.rand(20, 1, 8, 8))
    return net.eval()


def under(prefix: str, weights: Named) -> Named:
    return {prefix + name: tensor for name, tensor in weights.items()}


@pytest.fixture(autouse=True)
def own_file() -> None:
    Path("own.py").write_text(ARCH)


def loaded(options: str = "", arch: str = "own") -> Recipe:
    return recipe_of(f"checkpoint(path='w.pt', arch='./own.py::{arch}'{options})", TASK)


def answers(recipe: Recipe) -> Tensor:
    with torch.no_grad():
        result: Tensor = recipe.model.eval()(torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    return result


def expected(mean: float = 0.0, std: float = 1.0) -> Tensor:
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        result: Tensor = network()((images - mean) / std)
    return result


def of_tools() -> dict[str, Any]:
    """Files as tools write them."""
    net = network()
    plain = net.state_dict()
    average = torch.optim.swa_utils.AveragedModel(net)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    net.load_state_dict(average.module.state_dict())
    net.register_buffer("passing", torch.ones(2), persistent=False)
    return {
        "plain": plain,
        "compiled": under("_orig_mod.", plain),
        "ddp": under("module.", plain),
        "ddp of compiled": under("module._orig_mod.", plain),
        "compiled parts": {name.replace(".", "._orig_mod.", 1): tensor for name, tensor in plain.items()},
        "lightning": {"state_dict": under("model.", plain), "epoch": 3, "optimizer_states": [optimizer.state_dict()]},
        "lightning with a weighted loss": {"state_dict": under("net.", plain) | {"criterion.weight": torch.ones(10)}},
        "madry": {"model": under("module.model.", plain) | under("module.attacker.model.", plain), "epoch": 1},
        "swa": average.state_dict(),
        "swa within": {"swa_state_dict": average.state_dict(), "optim": optimizer.state_dict()},
        "timm": {"state_dict": plain, "state_dict_ema": plain, "arch": "own", "args": argparse.Namespace(lr=0.1)},
        "scalars": {"net": plain, "acc": np.float64(95.2), "best": np.float32(1), "when": np.datetime64("2024-01-01")},
        "objects": {"state_dict": plain, "args": argparse.Namespace(path=Path("x"), s={1}, d=collections.Counter("a"))},
        "defaults": collections.defaultdict(list, {"weights": collections.OrderedDict(plain), "losses": [1.0, 2.0]}),
        "old": {name: tensor for name, tensor in plain.items() if "num_batches" not in name},
        "unknown nest": {"a": {"b": {"my_model": plain}}, "optimizer": optimizer.state_dict()},
        "list": [plain, optimizer.state_dict()],
        "parts": {"0": network()[0].state_dict(), "1": network()[1].state_dict(), "4": network()[4].state_dict()},
        "parameters": {name: nn.Parameter(t) if t.is_floating_point() else t for name, t in plain.items()},
        "counted by thop": plain | {"total_ops": torch.zeros(1), "0.total_params": torch.zeros(1)},
        "half": {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in plain.items()},
        "whole module": net,
        "whole module in a dict": {"model": torch.nn.DataParallel(net), "epoch": 1},
    }


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"weights": {"conv.weight": torch.ones(3)}}, r"weights\.conv\.weight.*strip='weights\.'"),
        (
            {"state_dict": under("model.", {"0.weight": torch.ones(4, 1, 3, 3)})},
            r"missing .*strip='state_dict\.model\.'",
        ),
        (network().state_dict() | {"5.weight": torch.ones(3)}, r"1 are not known \(5\.weight\).*another arch"),
        (network().state_dict() | {"4.bias": torch.ones(7)}, r"holds 4\.bias of shape \(7,\).*another arch\?"),
        (
            network().state_dict() | {"4.bias": torch.ones(10, dtype=torch.int8)},
            r"holds 4\.bias .*int8.*another arch\?",
        ),
        ([1.0, "no weights"], "no tensors under names"),
        (
            {"state_dict": network().state_dict(), "state_dict_ema": network(1).state_dict()},
            r"strip='state_dict_ema\.'",
        ),
        (under("student.", network().state_dict()) | under("teacher.", network(1).state_dict()), r"strip='teacher\.'"),
        ({n: t for n, t in network().state_dict().items() if "running" not in n}, r"1\.running_mean.*another arch\?"),
        (torch.ones(3), r"a bare tensor of shape \(3,\)"),
    ],
)
def test_what_does_not_fit_is_one_message_with_the_names_and_the_option(content: Any, said: str) -> None:
    torch.save(content, "w.pt")
    with pytest.raises(UsageError, match=said) as caught:
        loaded()
    assert "weights_only" not in str(caught.value)


def test_strip_chooses_among_weights_that_fit() -> None:
    torch.save({"state_dict": network(1).state_dict(), "state_dict_ema": network().state_dict()}, "w.pt")
    assert torch.equal(answers(loaded(", strip='state_dict_ema.'")), expected())
    torch.save(under("module.net_", network().state_dict()), "w.pt")
    assert torch.equal(answers(loaded(", strip='net_'")), expected())
    weights = {
        "model": under("module.model.", network().state_dict())
        | under("module.attacker.model.", network().state_dict())
    }
    torch.save(weights, "w.pt")
    assert torch.equal(answers(loaded(", strip='model.'")), expected())


LAYER = torch.ones(3)


@pytest.mark.parametrize(
    "beside",
    [
        "scaler.weight",
        "amplify.weight",
        "loss_head.weight",
        "opt_in.weight",
        "optimus.weight",
        "criterion.weight",
        "attn_mask_in.weight",
        "7.mu 7.sigma",
        "layer.0.mean layer.0.std",
        "temperature",
    ],
)
@pytest.mark.parametrize("nest", ["", "state_dict", "state_dict.module"])
def test_a_layer_that_the_model_does_not_have_is_never_left_out(beside: str, nest: str) -> None:
    weights = network().state_dict() | {name: LAYER for name in beside.split()}
    torch.save({nest: weights} if nest else weights, "w.pt")
    with pytest.raises(UsageError, match=rf"are not known \(.*{beside.split()[0]}.*another arch"):
        loaded()


@pytest.mark.parametrize(
    "front",
    ["0.weight", "0.mean 0.var", "0.mean", "0.weight 0.bias", "stem.weight", "2.weight"],
)
def test_what_stands_beside_the_weights_is_never_left_out(front: str) -> None:
    weights = under("1.", network().state_dict()) | {name: LAYER for name in front.split()}
    for content in (weights, {"net": weights}, {"net": under("module.", weights)}):
        torch.save(content, "w.pt")
        with pytest.raises(UsageError, match=rf"{len(front.split())} are not known \(.*{front.split()[-1]}"):
            loaded()
    torch.save(weights, "w.pt")
    if front[0].isdigit():
        with pytest.raises(UsageError, match="are not known"):
            loaded(", strip='1.'")
    else:
        with pytest.raises(UsageError, match=r"strip='1\.'"):
            loaded()
        assert torch.equal(answers(loaded(", strip='1.'")), expected())


def test_single_numbers_around_weights_are_no_layers_but_within_they_are() -> None:
    plain, one = network().state_dict(), torch.tensor(0.9)
    callbacks = {"ModelCheckpoint": {"best_model_score": one}}
    scaler = {"scale": LAYER, "growth_factor": 2.0, "backoff_factor": 0.5}
    torch.save({"state_dict": plain, "acc": one, "callbacks": callbacks, "scaler": scaler}, "w.pt")
    assert torch.equal(answers(loaded()), expected())
    for within in (
        {"state_dict": plain | {"scale": one}},
        {"0": {"scale": one}, "1": plain},
        nn.Sequential(collections.OrderedDict(scale=Scale(), net=network())),
    ):
        torch.save(within, "w.pt")
        with pytest.raises(UsageError, match=r"1 are not known .*scale"):
            loaded()


class Scale(nn.Module):
    """A layer of a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(2.0))


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


@pytest.mark.parametrize("leaf", [torch.ones(2), 1.0])
def test_a_few_bytes_that_stand_for_millions_of_tensors_are_one_message_at_once(leaf: object) -> None:
    nest: object = {"w": leaf}
    for _ in range(28):
        nest = {"a": nest, "b": nest}
    torch.save(nest, "w.pt")
    began = time.monotonic()
    with pytest.raises(RobenchError, match=r"w\.pt.*(more than 50,000|no tensors)"):
        loaded()
    assert time.monotonic() - began < 5


def test_the_advice_after_a_strip_that_does_not_fit_is_another() -> None:
    torch.save({"model": network(1).state_dict(), "ema": {"module": network().state_dict()}}, "w.pt")
    for wrong in ("ema.", "ema"):
        with pytest.raises(UsageError, match=r"strip='ema\.module\.'"):
            loaded(f", strip='{wrong}'")
    assert torch.equal(answers(loaded(", strip='ema.module.'")), expected())


def test_equal_weights_that_are_not_finite_are_not_several() -> None:
    broken = {n: t / 0 if t.is_floating_point() else t for n, t in network().state_dict().items()}
    for content in (broken, {"model": broken, "ema": dict(broken)}):
        torch.save(content, "w.pt")
        with pytest.raises(DataError, match=r"w\.pt.*not finite"):
            loaded()
    torch.save(
        {n: t.double() * 1e300 if t.is_floating_point() else t for n, t in network().state_dict().items()}, "w.pt"
    )
    with pytest.raises(DataError, match="not finite"):
        loaded()


def test_the_home_of_nobody_is_one_message() -> None:
    with pytest.raises(UsageError, match="no user 'nouser'"):
        load_weights(network(), "~nouser/w.pt", "net")


@pytest.mark.parametrize(
    "content", [b"\x89HDF\r\n\x1a\n" + bytes(50), b"PK\x03\x04", b"{}", b"\x08\x07\x12\x07pytorch", b""]
)
def test_files_of_other_kinds_are_one_message(content: bytes) -> None:
    Path("w.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"w\.pt"):
        loaded()
    np.savez("w.npz", a=np.ones(3))
    with pytest.raises(DataError, match=r"without the data\.pkl"):
        recipe_of("checkpoint(path='w.npz', arch='./own.py::own')", TASK)
    with pytest.raises(DataError, match="is a folder"):
        recipe_of("checkpoint(path='.', arch='./own.py::own')", TASK)


@pytest.mark.parametrize("arch", ["own", "behind"])
def test_the_normalisation_in_front_is_what_is_declared(arch: str) -> None:
    torch.save(network().state_dict(), "w.pt")
    byte = loaded(", mean=[0], std=[1/255]", arch)
    assert torch.allclose(answers(byte), expected(0, 1 / 255), rtol=1e-4)
    assert "as given: mean [0.0], std [0.003922]" in byte.note
    assert torch.equal(answers(loaded(", mean='none'", arch)), expected())
    assert "not normalised" in loaded(", mean='none'", arch).note
    if arch == "behind":
        assert torch.equal(answers(loaded("", arch)), expected(0.3, 0.4))
        assert "mean [0.3], std [0.4]" in loaded("", arch).note
    else:
        assert "no normalisation that robench knows of" in loaded("", arch).note


@pytest.mark.parametrize(
    "options", ["mean=[0.5]", "std=[0.5]", "mean='none', std=[1]", "mean=[0, 0, 0], std=[1]", "mean=[0], std=[0]"]
)
def test_half_a_normalisation_is_refused(options: str) -> None:
    torch.save(network().state_dict(), "w.pt")
    with pytest.raises(UsageError, match=r"together|channels|above 0"):
        loaded(f", {options}")


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ("module.normalizer.new_mean", "module.normalizer.new_std"),
        ("module.normalize.mean", "module.normalize.std"),
        ("module.mu", "module.sigma"),
    ],
)
def test_a_normalisation_in_the_file_is_used_and_named(mean: str, std: str) -> None:
    weights = under("module.model.", network().state_dict())
    both = {mean: torch.full((1, 1, 1), 0.25), std: torch.full((1, 1, 1), 0.5)}
    torch.save({"model": weights | both}, "w.pt")
    for arch in ("own", "behind"):
        assert torch.equal(answers(loaded("", arch)), expected(0.25, 0.5))
        assert "from w.pt: mean [0.25], std [0.5]" in loaded("", arch).note
    assert torch.equal(answers(loaded(", mean='none'")), expected())
    torch.save(
        {
            "model": weights
            | both
            | {"module.attacker.normalize.mean": torch.ones(1)}
            | {"module.attacker.normalize.std": torch.ones(1)}
        },
        "w.pt",
    )
    loaded()  # beside other weights, and so not of these


def test_a_run_says_what_is_in_front() -> None:
    torch.save(network().state_dict(), "w.pt")
    _, said = small_run(defense="checkpoint(path='w.pt', arch='./own.py::behind')", attack="fgsm(eps=0.1)")
    assert any("normalised in front" in line and "mean [0.3" in line for line in said)


def splits_of(images: Any, train: bool) -> Splits:
    empty = Split.of("train", images, np.zeros(len(images), dtype=np.int64)).select(np.zeros(0, dtype=np.int64))
    labels = np.arange(len(images)) % 10
    split = Split.of("test", images, labels)
    return Splits(split if train else empty, empty, split, 10)


def test_constants_of_the_test_images_are_part_of_the_identity() -> None:
    """Of data without training images; another test set does not silently reuse weights behind the first one's mean."""
    torch.save(network().state_dict(), "w.pt")
    random = np.random.default_rng(0)
    dark, light = (random.integers(low, low + 99, (40, 1, 8, 8), dtype=np.uint8) for low in (0, 150))
    card, cache = DATASETS["digits"].card, Places.of().cache
    call = "checkpoint(path='w.pt', arch='./own.py::behind')"
    first, second = (Checkpoint.of(call, splits_of(images, False), card, cache) for images in (dark, light))
    assert first.folder != second.folder
    assert first.identity["task"][-2:] == [list(first.task.mean), list(first.task.std)]  # type: ignore[index]
    trained = Checkpoint.of(call, splits_of(dark, True), card, cache)
    assert len(trained.identity["task"]) == 5, "as it was"  # type: ignore[arg-type]
