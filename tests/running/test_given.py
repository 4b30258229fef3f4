"""Models that are handed to `robench.run` as modules: they are attacked like any defense, and come back as they were."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

import robench
from robench import ModelError, Places, UsageError
from robench.console import Lines, Silent, Work
from robench.running.overall import Overall
from robench.running.rows import rows_of
from robench.running.settings import Settings


class Net(nn.Module):
    """Linear, with dropout that an attack must not see."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.drop, self.linear = nn.Dropout(0.9), nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(self.drop(images.flatten(1)))


def run(*nets: nn.Module, attack: str = "fgsm(eps=0.1)", reporter: Silent | None = None) -> robench.Result:
    return robench.run([*nets], attack, "digits", n=30, reporter=reporter or Silent())


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_module_is_attacked_as_evaluate_attacks_it_and_comes_back_as_it_was() -> None:
    net = Net().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    found = run(net).records
    images, labels, _ = robench.load("digits", n=30)
    pixels = (255 * images).round().to(torch.uint8)
    alone = robench.evaluate(Net().eval(), "fgsm(eps=0.1)", robench.Split.of("digits", pixels, labels))
    assert found["defense"].unique().tolist() == ["Net"]
    assert sorted(found["fooled"]) == sorted(alone["fooled"]) and found["correct"].sum() == alone["correct"].sum()
    assert net.training and all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_its_weights_name_it_so_that_it_is_found_again_and_another_is_not_taken_for_it() -> None:
    first = run(Net())
    (unit,) = [one.unit for one in first.measured]
    written = (unit.folder / "manifest.json").stat().st_mtime_ns
    (again,) = [one.unit for one in run(Net()).measured]
    assert again.folder == unit.folder and (unit.folder / "manifest.json").stat().st_mtime_ns == written
    (other,) = [one.unit for one in run(Net(seed=1)).measured]
    assert other.folder != unit.folder
    both = run(Net(), Net(seed=1)).groups()[0].defenses.values()
    assert len({*both}) == 2 and all(label.startswith("Net · weights ") for label in both)


def test_nothing_of_it_goes_into_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = robench.run(Net(), "fgsm(eps=0.1)", "digits", n=10, cache=tmp_path / "cache", reporter=Silent())
    assert len(result.measured) == 1
    assert not [*(tmp_path / "cache").rglob("*.safetensors")]


def test_it_stands_beside_defenses_and_its_board_says_where_it_came_from() -> None:
    result = robench.run(
        [Net(), "vit(epochs=1)"], robench.suite("linf(eps=0.1)")[:2], "digits", n=20, reporter=Silent()
    )
    assert [*result.groups()[0].defenses.values()] == ["Net", "vit(epochs=1)"]
    result.leaderboard("board.json")
    assert "# Net was handed to robench.run from Python" in Path("board.json").read_text(encoding="utf-8")


def test_one_that_is_no_classifier_of_the_data_is_refused_and_the_others_are_run() -> None:
    class Small(Net):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images)[:, :3]

    result = run(Small(), Net())
    assert [str(one.defense) for one in result.refused] == ["Small"]
    assert [one.unit.spec.defense.name for one in result.measured] == ["Net"]


def test_one_that_cannot_be_copied_or_has_no_weights_yet_is_one_message_and_stops_no_other() -> None:
    class Locked(Net):
        def __deepcopy__(self, memo: object) -> Locked:
            raise TypeError("a lock cannot be pickled")

    with pytest.raises(ModelError, match=r"Locked cannot be copied.*robench\.evaluate"):
        run(Locked())
    with pytest.raises(ModelError, match="without weights yet"):
        run(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)))
    result = run(Locked(), Net())
    assert [str(one.defense) for one in result.refused] == ["Locked"] and len(result.measured) == 1


class Straight(Net):
    """The same answers from the same weights, with gradients of its own."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        return logits.detach() * (1 - self.sign) + self.sign * logits


def test_the_same_weights_and_answers_with_other_code_or_attributes_are_another_row() -> None:
    """With the gradient turned round an attack of one step finds less; a stored result of the other would say the same."""
    for other in (Straight(-1.0), Straight(1.0)):
        first, second = run(Net()), run(other)
        assert first.measured[0].unit.identity.weights == second.measured[0].unit.identity.weights
        assert first.measured[0].unit.folder != second.measured[0].unit.folder
    turned = run(Straight(-1.0))
    assert turned.records["success"].sum() < run(Straight(1.0)).records["success"].sum()


def test_two_modules_of_one_class_are_told_apart_while_they_are_run() -> None:
    class Heard(Silent):
        labels: ClassVar[list[str]] = []

        def work(self, label: str, *, unit: str, total: int | None = None, done: int = 0) -> Work:
            self.labels.append(label)
            return super().work(label, unit=unit, total=total, done=done)

    said = Heard()
    run(Net(), Net(seed=1), attack="fgsm(eps=0.07)", reporter=said)
    assert not [line for line in said.messages if "run again" in line]
    assert len({label for label in said.labels if "under fgsm" in label}) == 2


def test_a_module_is_no_training_that_is_left() -> None:
    rows = rows_of([Net()], ["fgsm(eps=0.1)"], ["digits"], Settings(n=10), Places.of())
    assert "training" not in Overall(rows, Silent()).left()


def test_a_run_on_all_images_says_its_cost_before_it_begins() -> None:
    said = Lines()
    heard: list[str] = []
    said.say = heard.append  # type: ignore[method-assign]
    robench.run(Net(), "fgsm(eps=0.06)", "digits", reporter=said)
    assert heard[0].startswith("on all 359 images: about ") and "--n 100" in heard[0]


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and used
        return torch.jit.script(Net())


@pytest.mark.parametrize(
    "made", [scripted, lambda: Net().half(), lambda: Net().double()], ids=["scripted", "half", "double"]
)
def test_scripted_modules_and_those_of_another_precision_are_attacked(made: Callable[[], nn.Module]) -> None:
    net = made()
    kinds = {parameter.dtype for parameter in net.parameters()}
    assert len(run(net).records) == 30
    assert {parameter.dtype for parameter in net.parameters()} == kinds


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_slopes_are_there_wherever_it_is_called(mode: type[torch.no_grad]) -> None:
    with mode():
        found = run(Net())
    assert not found.refused and found.records["backwards"].sum() > 0


def test_what_is_named_twice_is_run_once() -> None:
    net = Net()
    once = robench.run(net, "fgsm(eps=0.1)", "digits", n=20, quiet=True)
    attacks = ["fgsm(eps=0.1)", *robench.suite("linf(eps=0.1)")[:1], "fgsm(eps=0.1)"]
    twice = robench.run([net, net], attacks, ["digits", "digits"], n=20, quiet=True)
    assert len(once.measured) == len(twice.measured) == 1
    assert len(robench.run(["vit(epochs=1)"] * 2, attacks, "digits", n=20, quiet=True).records) == 20


def test_a_path_names_a_file(tmp_path: Path) -> None:
    Path("mine.py").write_text(
        "import robench\nfrom torch import nn\n\n@robench.defense()\ndef mine(task: robench.Task) -> robench.Recipe:\n"
        "    model = nn.Sequential(nn.Flatten(), nn.Linear(64, task.classes))\n    return robench.Recipe(model, robench.Schedule(steps=0))\n"
    )
    for path in (Path("mine.py"), tmp_path / "mine.py"):
        assert robench.run(path, "fgsm(eps=0.1)", "digits", n=10, quiet=True).measured


def test_a_suite_is_a_list_of_attacks_at_a_radius() -> None:
    assert [str(one) for one in robench.suite("linf(eps=8/255)")][:2] == ["fgsm(eps=8/255)", "pgd_linf(eps=8/255)"]
    with pytest.raises(UsageError, match="no suite is named 'lnf'"):
        robench.suite("lnf")


def test_progress_is_shown_unless_quiet_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    robench.run(Net(), "fgsm(eps=0.1)", "digits", n=10)
    assert re.search(r"Net \(weights \w{6}\) under fgsm\(eps=0.1\) on digits: 10/10 images", capsys.readouterr().err)
    robench.run(Net(), "fgsm(eps=0.2)", "digits", n=10, quiet=True)
    assert capsys.readouterr() == ("", "")
