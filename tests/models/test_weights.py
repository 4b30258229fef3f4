"""Which of a file's tensors are a model's: chosen or refused, nothing left out without a word."""

from __future__ import annotations

import collections
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign import TASK, Scale, answers, expected, loaded, network, own_file, under
from torch import nn

from robench import DataError, RobenchError, UsageError, load_weights, recipe_of


@pytest.fixture(autouse=True)
def own_entries() -> None:
    own_file()


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
