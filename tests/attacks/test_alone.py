"""An attack without the harness: a plain module and tensors in, adversarial inputs out."""

from __future__ import annotations

import pytest
import torch
from cases import linear_case, split_of
from torch import Tensor, nn

import robench
from robench import ATTACKS, ModelError, UsageError
from robench.attacking.alone import input_ids
from robench.running.subject import Subject


def small_net(features: int = 16, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, classes))


def test_it_finds_what_a_run_finds() -> None:
    split = split_of(30)
    net = linear_case(dtype=torch.float32)[0]
    records = robench.evaluate(net, "pgd_linf(eps=0.2, steps=5)", split, seed=3).set_index("image")
    inputs, labels = split.inputs(slice(None)), split.targets()
    right = net(inputs).argmax(1) == labels
    found = ATTACKS["pgd_linf"](net, inputs[right], labels[right], eps=0.2, steps=5, seed=3)
    sizes = (found - inputs[right]).double().flatten(1).norm(dim=1)
    ids = split.image_ids()[right.numpy()].tolist()
    assert torch.allclose(sizes, torch.tensor(records.loc[ids, "l2"].to_numpy(dtype=float)), atol=1e-6)
    other = ATTACKS["pgd_linf"](net, inputs[right], labels[right], eps=0.2, steps=5, seed=4)
    assert not torch.equal(found, other), "another seed, other random numbers"


def test_inputs_have_the_ids_of_a_run_and_equal_ones_are_counted() -> None:
    split = split_of(10)
    assert input_ids(split.inputs(slice(None))) == split.image_ids().tolist()
    twice = split.inputs([0, 0, 1])
    assert len(set(input_ids(twice))) == 3
    assert input_ids(twice)[::2] == split.image_ids()[:2].tolist()


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_in_the_state_that_it_was_in(fails: bool) -> None:
    net = small_net().train()
    net[2].eval()  # a frozen batch norm in a network that is being trained
    net[1].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    inputs, labels = torch.rand(8, 1, 4, 4), torch.arange(8) % 3
    if fails:
        handle = net[4].register_full_backward_hook(lambda *_: (_ for _ in ()).throw(ValueError("mine")))
        with pytest.raises(ValueError, match="mine"):
            ATTACKS["fgsm"](net, inputs.requires_grad_(), labels, eps=0.1)
        handle.remove()
    else:
        ATTACKS["pgd_l2"](net, inputs, labels, eps=0.5, steps=3)
    assert [part.training for part in net] == [True, True, False, True, True]
    assert [p.requires_grad for p in net.parameters()] == [False, True, True, True, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_targets_are_classes_or_a_rule() -> None:
    net = small_net().eval()
    inputs, labels = torch.rand(8, 1, 4, 4), torch.arange(8) % 3
    aimed = ATTACKS["pgd_linf"](net, inputs, labels, eps=0.5, targets=(labels + 1) % 3)
    ruled = ATTACKS["pgd_linf"](net, inputs, labels, eps=0.5, targets="next")
    assert torch.equal(aimed, ruled)
    assert (net(aimed).argmax(1) == (labels + 1) % 3).float().mean() > 0.7
    with pytest.raises(UsageError, match="one target for each input"):
        ATTACKS["pgd_linf"](net, inputs, labels, eps=0.5, targets="all")
    with pytest.raises(UsageError, match="targets='nxt' given to pgd_linf"):
        ATTACKS["pgd_linf"](net, inputs, labels, eps=0.5, targets="nxt")


@pytest.mark.parametrize(
    ("inputs", "labels", "options", "said"),
    [
        (torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {}, "needs the option 'eps'"),
        (torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {"eps": 0.1, "stpes": 3}, "did you mean 'steps'"),
        (255 * torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {"eps": 0.1}, r"must lie in \[0, 1\]: divide 8-bit pixels"),
        (torch.ones(4, 1, 4, 4, dtype=torch.uint8), torch.arange(4) % 3, {"eps": 0.1}, "a float tensor"),
        (torch.rand(4, 1, 4, 4), torch.arange(3), {"eps": 0.1}, "one whole number for each of the 4 inputs"),
        (torch.rand(0, 1, 4, 4), torch.arange(0), {"eps": 0.1}, "was given inputs none"),
        (torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {"eps": 0.1, "targets": torch.arange(2)}, "targets of shape"),
        (
            torch.rand(4, 1, 4, 4),
            torch.arange(4) - 1,
            {"eps": 0.1},
            "labels from -1 to 2; the model has classes 0 to 2",
        ),
        (torch.rand(4, 1, 4, 4), torch.arange(4), {"eps": 0.1}, "labels from 0 to 3"),
        (torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {"eps": 0.1, "targets": torch.arange(4)}, "targets from 0 to 3"),
        (torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {"eps": 0.1, "targets": [0, 1, 2, 0]}, "targets as a list"),
        (torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {"eps": float("inf")}, "eps=inf given to pgd_linf"),
        (torch.rand(4, 1, 4, 4), torch.arange(4) % 3, {"eps": float("nan")}, "eps=nan given to pgd_linf"),
    ],
)
def test_what_cannot_be_attacked_is_said(inputs: Tensor, labels: Tensor, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ATTACKS["pgd_linf"](small_net(), inputs, labels, **options)


def test_what_is_no_model_is_said() -> None:
    inputs, labels = torch.rand(4, 1, 4, 4), torch.arange(4) % 3
    with pytest.raises(ModelError, match="was given a str"):
        ATTACKS["fgsm"]("net", inputs, labels, eps=0.1)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="raised RuntimeError on images of shape"):
        ATTACKS["fgsm"](small_net(features=9), inputs, labels, eps=0.1)
    with pytest.raises(ModelError, match=r"returned \(1, 1, 4, 4\), but logits"):
        ATTACKS["fgsm"](nn.Identity(), inputs, labels, eps=0.1)


def test_a_transfer_takes_its_source_as_a_module() -> None:
    inputs, labels = torch.rand(6, 1, 4, 4), torch.arange(6) % 3
    source, net = small_net().train(), small_net().eval()
    found = ATTACKS["transfer"](net, inputs, labels, eps=0.1, source=source)
    assert torch.equal(found, ATTACKS["mim"](source, inputs, labels, eps=0.1, until_success=False))
    assert source.training
    with pytest.raises(UsageError, match="needs source="):
        ATTACKS["transfer"](net, inputs, labels, eps=0.1)


SHAPELESS = [
    name
    for name in ATTACKS
    if not ATTACKS[name].card.confined
    and ATTACKS[name].card.goal != "natural"
    and not ATTACKS[name].card.sources
    and name
    not in ("art", "images", "boundary", "hopskipjump", "autoattack", "autoattack_l2", "square_linf", "square_l2")
]


@pytest.mark.parametrize("shape", [(12,), (3, 4)])
@pytest.mark.parametrize("name", SHAPELESS)
def test_tabular_rows_and_tokens_are_attacked_as_images_are(name: str, shape: tuple[int, ...]) -> None:
    """A table's rows (N, features), and token embeddings (N, tokens, width)."""
    torch.manual_seed(1)
    layer = nn.Linear(12, 3)
    layer.bias.data = -layer.weight.detach().sum(1) / 2  # all classes meet in the middle of the box
    net, inputs = nn.Sequential(nn.Flatten(), layer), 0.3 + 0.4 * torch.rand(6, *shape)
    labels = net(inputs).argmax(1)
    entry = ATTACKS[name]
    options: dict[str, object] = {"preset": "quick"} if "quick" in entry.card.presets else {}
    if "eps" in entry.options:
        options["eps"] = {"linf": 0.4, "l2": 1.5, "l1": 4.0}[entry.card.norm]
    found = entry(net, inputs, labels, **options)
    assert found.shape == inputs.shape
    assert (net(found).argmax(1) != labels).float().mean() >= 0.8


@pytest.mark.parametrize("name", ["square_linf", "square_l2", "patch_noise", "patch_pgd"])
@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_attacks_on_squares_and_patches_say_that_they_want_images(name: str, shape: tuple[int, ...]) -> None:
    options = {"eps": 0.3} if "eps" in ATTACKS[name].options else {}
    with pytest.raises(UsageError, match=r"of images, \(N, C, H, W\)"):
        ATTACKS[name](small_net(features=12), torch.rand(3, *shape), torch.zeros(3, dtype=torch.int64), **options)


def test_every_attack_on_a_trained_model_leaves_it_alone(subject: Subject) -> None:
    inputs, labels = subject.split.inputs(slice(0, 4)), subject.split.targets()[:4]
    before = {name: tensor.clone() for name, tensor in subject.module.state_dict().items()}
    for name in SHAPELESS:
        options = {"eps": 0.1} if "eps" in ATTACKS[name].options else {}
        preset = {"preset": "quick"} if "quick" in ATTACKS[name].card.presets else {}
        assert ATTACKS[name](subject.module, inputs, labels, **options, **preset).shape == inputs.shape
    assert all(torch.equal(tensor, before[name]) for name, tensor in subject.module.state_dict().items())


def test_gradients_are_taken_where_the_caller_takes_none() -> None:
    net, inputs, labels = small_net().eval(), torch.rand(4, 1, 4, 4), torch.arange(4) % 3
    with torch.no_grad():
        found = ATTACKS["fgsm"](net, inputs, labels, eps=0.1)
    assert torch.equal(found, ATTACKS["fgsm"](net, inputs, labels, eps=0.1))
