"""Models that are handed to `robench.run` as modules: they are attacked like any defense, and come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import robench
from robench import ModelError, UsageError
from robench.console import Silent


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


def test_one_that_cannot_be_copied_or_has_no_weights_yet_is_one_message() -> None:
    class Locked(Net):
        def __deepcopy__(self, memo: object) -> Locked:
            raise TypeError("a lock cannot be pickled")

    with pytest.raises(ModelError, match=r"Locked cannot be copied.*robench\.evaluate"):
        run(Locked())
    with pytest.raises(ModelError, match="without weights yet"):
        run(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)))


def test_a_suite_is_a_list_of_attacks_at_a_radius() -> None:
    assert [str(one) for one in robench.suite("linf(eps=8/255)")][:2] == ["fgsm(eps=8/255)", "pgd_linf(eps=8/255)"]
    with pytest.raises(UsageError, match="no suite is named 'lnf'"):
        robench.suite("lnf")


def test_progress_is_shown_unless_quiet_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    robench.run(Net(), "fgsm(eps=0.1)", "digits", n=10)
    assert "Net under fgsm(eps=0.1) on digits: 10/10 images" in capsys.readouterr().err
    robench.run(Net(), "fgsm(eps=0.2)", "digits", n=10, quiet=True)
    assert capsys.readouterr() == ("", "")
