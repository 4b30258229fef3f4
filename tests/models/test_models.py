"""Models made elsewhere: timm's, RobustBench's, weights from files."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from conftest import small_run
from safetensors.torch import save_file
from torch import nn

from robench import DataError, Places, Task, UsageError, build_vit, recipe_of
from robench.data.loading import load_data
from robench.models.size import size_of, weightless
from robench.training.checkpoints import Checkpoint
from robench.training.outputs import Outputs, Silent

COLOUR = Task((3, 32, 32), 10, 1000, (0.5,) * 3, (0.2,) * 3)


def weights() -> dict[str, torch.Tensor]:
    data = load_data("digits", Places.of())
    checkpoint = Checkpoint.of("carlini(width=4)", data.splits, data.card, Path("cache"))
    return checkpoint.recipe().model.state_dict()


def test_a_checkpoint_is_used_as_it_is() -> None:
    save_file(weights(), "own.safetensors")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in weights().items()}}, "own.pt")
    arch = "arch=carlini(width=4)"
    rows = [f"checkpoint(path='own.safetensors', {arch})", f"checkpoint(path='own.pt', {arch})"]
    result, said = small_run(defense=rows, attack="fgsm(eps=0.1)")
    assert not any("training" in line for line in said)
    first, second = (part.reset_index(drop=True) for _, part in result.records.groupby("defense"))
    assert first["prediction"].equals(second["prediction"])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("open('run', 'w').write('code')",))


def test_files_that_are_no_weights_are_refused() -> None:
    arch = "arch=carlini(width=4)"
    with pytest.raises(DataError, match="there is no file 'none.pt'"):
        small_run(defense=f"checkpoint(path='none.pt', {arch})")
    torch.save({"model": Evil()}, "evil.pt")
    with pytest.raises(DataError, match=r"would run code .*\(it names exec\)"):
        small_run(defense=f"checkpoint(path='evil.pt', {arch})")
    Path("notes.pt").write_text("these are no weights")
    with pytest.raises(DataError, match=r"notes.pt"):
        small_run(defense=f"checkpoint(path='notes.pt', {arch})")
    Path("evil.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match="would run code"):
        small_run(defense=f"checkpoint(path='evil.pkl', {arch})")
    assert not Path("run").exists()
    whole = Path("own.safetensors")
    save_file(weights(), whole)
    whole.write_bytes(whole.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be read as safetensors"):
        small_run(defense=f"checkpoint(path='own.safetensors', {arch})")
    save_file(weights(), whole)
    with pytest.raises(UsageError, match="holds 1.weight of shape"):
        small_run(defense="checkpoint(path='own.safetensors', arch=carlini(width=8))")
    with pytest.raises(UsageError, match="are missing"):
        small_run(defense="checkpoint(path='own.safetensors', arch=vit)")


def test_a_timm_model_has_its_own_normalisation_and_the_datas_size_and_classes() -> None:
    recipe = recipe_of("timm(name='deit_tiny_patch16_224', epochs=1)", COLOUR)
    assert recipe.model[0].mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])  # type: ignore[index, union-attr]
    assert recipe.model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert recipe_of("timm(name='resnet18', epochs=1)", COLOUR).model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(UsageError, match="did you mean 'deit_tiny_patch16_224"):
        recipe_of("timm(name='deit_tiny_patch16_22')", COLOUR)
    odd = Task((3, 40, 40), 10, 1000, (0.5,) * 3, (0.2,) * 3)
    with pytest.raises(UsageError, match="40 x 40"):
        recipe_of("timm(name='deit_tiny_patch16_224')", odd)


@pytest.mark.skipif(not find_spec("robustbench"), reason="robustbench is an extra; `make test` installs it")
def test_a_robustbench_model_is_read_from_its_file() -> None:
    from robench import DEFENSES

    globals_ = DEFENSES["robustbench"].function.__globals__
    with globals_["_importable"]():
        from robustbench.model_zoo.models import model_dicts

        (linf,) = (
            m for d, zoo in model_dicts.items() if d.value == "cifar10" for t, m in zoo.items() if t.value == "Linf"
        )
        torch.manual_seed(0)
        model = linf["Wong2020Fast"]["model"]().eval()
    folder = Places.of().cache / "robustbench" / "cifar10" / "Linf"
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / "Wong2020Fast.pt")
    recipe = recipe_of("robustbench(name='Wong2020Fast')", COLOUR)
    inputs = torch.rand(2, 3, 32, 32)
    assert torch.equal(recipe.model.eval()(inputs), model(inputs))
    assert recipe.schedule.steps == 0
    assert recipe.note == recipe_of("robustbench(name='Wong2020Fast')", COLOUR).note == ""
    torch.save({name: 2 * tensor for name, tensor in model.state_dict().items()}, folder / "Wong2020Fast.pt")
    for _ in range(2):
        note = recipe_of("robustbench(name='Wong2020Fast')", COLOUR).note
        assert "Wong2020Fast.pt is not the file that was first used here (SHA-256 " in note
    with pytest.raises(UsageError, match="did you mean 'Wong2020Fast'"):
        recipe_of("robustbench(name='Wong2020Fas')", COLOUR)
    with pytest.raises(UsageError, match="has no L2 models for cifar100"):
        recipe_of("robustbench(name='Wong2020Fast', dataset='cifar100', threat='L2')", COLOUR)
    (folder / "Wong2020Fast.pt").write_bytes(b"")
    with pytest.raises(UsageError, match="You may put its file at"):
        recipe_of("robustbench(name='Wong2020Fast')", COLOUR)


SLIDES = {  # name in timm: (FLOPs in G, parameters in M) as the RSPC study's table prints them, and ours where they differ
    "deit_tiny_patch16_224": ((1.3, 5.7), (1.25, None)),
    "deit_small_patch16_224": ((4.6, 22.1), None),
    "deit_base_patch16_224": ((17.6, 86.6), None),
    "convit_tiny": ((1.4, 5.7), (1.25, None)),  # the slides count the gating, or another image
    "convit_small": ((5.4, 27.8), (5.75, None)),  # the paper of ConViT has 5.4 too
    "convit_base": ((17.7, 86.5), (17.51, None)),
    "swin_tiny_patch4_window7_224": ((4.5, 28.3), None),
    "swin_base_patch4_window7_224": ((15.4, 87.8), None),
    "resnet50": ((4.1, 25.6), None),
    "inception_v3": ((5.7, 27.2), (None, 23.83)),  # with the auxiliary classifier, which timm leaves out at inference
}


@pytest.mark.parametrize("name", SLIDES)
def test_parameters_and_multiply_accumulates_are_those_of_the_rspc_studys_table(name: str) -> None:
    printed, differs = SLIDES[name]
    side = 299 if name == "inception_v3" else 224
    task = Task((3, side, side), 1000, 1000, (0.5,) * 3, (0.2,) * 3)
    with weightless():
        size = size_of(recipe_of(f"timm(name='{name}', epochs=1)", task).model, task.shape)
    for ours, theirs, known in zip(
        (size.macs / 1e9, size.parameters / 1e6), printed, differs or (None, None), strict=True
    ):
        assert ours == pytest.approx(known or theirs, abs=0.005 if known else 0.051)


@pytest.mark.parametrize(
    ("options", "millions", "lecture"),
    [
        ("patch=16, dim=768, depth=12, heads=12, mlp=3072", 86.57, 86),
        ("patch=16, dim=1024, depth=24, heads=16, mlp=4096", 304.33, 307),
        ("patch=14, dim=1280, depth=32, heads=16, mlp=5120", 632.05, 632),
    ],
)
def test_the_lectures_large_vits_have_its_parameters(options: str, millions: float, lecture: int) -> None:
    """With 1,000 classes; the lecture's figures are the ViT paper's, of other heads: within 1 %."""
    task = Task((3, 224, 224), 1000, 1000, (0.5,) * 3, (0.2,) * 3)
    with weightless():
        parameters = sum(p.numel() for p in recipe_of(f"vit({options})", task).model.parameters()) / 1e6
    assert parameters == pytest.approx(millions, abs=0.005)
    assert parameters == pytest.approx(lecture, rel=0.01)


def test_a_size_is_counted_by_hand() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(4 * 64, 10))
    size = size_of(model, (3, 8, 8))
    assert size.parameters == 4 * 27 + 4 + 2560 + 10
    assert size.macs == 64 * 27 * 4 + 2560


def test_a_models_card_says_how_it_takes_occluded_patches() -> None:
    result, _ = small_run()
    (card,) = result.cards.values()
    assert len(card.attention_cosines) == len(card.feature_distances) == 2
    assert all(0.3 < cosine < 1 for cosine in card.attention_cosines)
    assert all(0 < distance < 2 for distance in card.feature_distances)
    assert card.macs > 0


def test_weights_from_elsewhere_go_behind_the_normalisation() -> None:
    import timm

    torch.manual_seed(1)
    made = timm.create_model("resnet10t", num_classes=10).eval()
    torch.save(made.state_dict(), "elsewhere.pt")
    recipe = recipe_of("checkpoint(path='elsewhere.pt', arch=timm(name='resnet10t', epochs=1))", COLOUR)
    inputs, (mean, std) = torch.rand(2, 3, 32, 32), (made.pretrained_cfg[key] for key in ("mean", "std"))
    normal = (inputs - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    assert torch.allclose(recipe.model.eval()(inputs), made(normal), atol=1e-5)


def test_sinusoidal_positions_are_the_table_of_vaswani_and_are_not_trained() -> None:
    """Of width 4 the second token has sin 1, cos 1, sin 0.01, cos 0.01."""
    net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=4, dim=4, depth=1, heads=2, mlp=4, positions="sinusoidal")
    table = net[1].pos_embed
    assert table.shape == (1, 5, 4) and not table.requires_grad
    assert table[0, 0].tolist() == [0, 1, 0, 1]
    assert table[0, 1].tolist() == pytest.approx([0.841471, 0.540302, 0.01, 0.99995], abs=1e-5)
    assert build_vit((1, 8, 8), 10, [0.5], [0.2], patch=4, dim=4, depth=1, heads=2, mlp=4)[1].pos_embed.requires_grad


def test_looking_at_a_size_leaves_every_part_in_its_mode() -> None:
    """A wrapper may say that it trains while what it wraps does not, as one of some outputs of a model with weights does."""
    inner = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(5)).eval()
    inner(torch.rand(1, 3, 8, 8))
    around = nn.Sequential(inner)
    around.training = True
    size_of(around, (3, 8, 8))
    assert around.training
    assert not any(part.training for part in inner.modules())
    read = Outputs(3, (0, 2, 4)).of(inner)
    assert not read.training
    assert not Silent(inner, 2).training
