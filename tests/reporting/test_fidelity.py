"""What was published of the same weights stands beside ours, for models of RobustBench and of timm by itself."""

from __future__ import annotations

import pytest
from measured import records, unit

from robench import Call, parse
from robench.records.unit import Measured
from robench.reporting.result import Result
from robench.reporting.same_weights import TORCHVISION, known
from robench.reporting.statistics import wilson
from robench.reporting.tables import Table
from robench.reporting.writing.markup import as_markdown


def of(defense: str, dataset: str = "cifar10", success: list[bool] | None = None, **changes: object) -> Measured:
    linf = changes.pop("linf", 0.05)
    own = unit(defense=defense, dataset=dataset, **changes)
    return Measured(
        own,
        records([True, False, False, False] if success is None else success, eps=changes.get("eps", 0.1), linf=linf),
    )


def fidelity(*measured: Measured) -> Table | None:
    tables = [table for table in Result([*measured]).tables() if table.name == "fidelity"]
    return tables[0] if tables else None


def test_robustbenchs_entries_are_known_by_zoo_threat_and_name() -> None:
    linf = known(parse("robustbench(name='Wong2020Fast')"), "cifar10")
    assert [(one.metric, one.value, one.norm) for one in linf] == [
        ("clean_accuracy", pytest.approx(0.8334), ""),
        ("robust_accuracy", pytest.approx(0.4321), "linf"),
    ]
    assert linf[1].eps == pytest.approx(8 / 255) and linf[1].source == "RobustBench"
    l2 = known(parse("robustbench(name='Engstrom2019Robustness', threat='L2')"), "cifar10")
    assert (l2[1].value, l2[1].norm, l2[1].eps) == (pytest.approx(0.6924), "l2", 0.5)
    imagenet = known(parse("robustbench(name='Salman2020Do_R18', dataset='imagenet')"), "imagenet")
    assert (imagenet[1].value, imagenet[1].eps) == (
        pytest.approx(0.2532),
        pytest.approx(4 / 255),
    ) and "5,000" in imagenet[1].protocol
    assert not known(parse("robustbench(name='Wong2020Fast')"), "cifar100"), "it is evaluated on another set"
    assert not known(parse("robustbench(name='Nobody2020')"), "cifar10")
    common = known(parse("robustbench(name='Standard', threat='corruptions')"), "cifar10_c")
    assert [(one.metric, one.value) for one in common] == [("mean_corruption_accuracy", pytest.approx(0.7346))]


def test_timms_models_are_known_with_their_own_weights_alone() -> None:
    tiny = "timm(name='deit_tiny_patch16_224.fb_in1k', pretrained=True)"
    assert [(one.value, one.source) for one in known(parse(tiny), "imagenet")] == [(pytest.approx(0.72172), "timm")]
    assert not known(parse(tiny.replace(", pretrained=True", "")), "imagenet"), "trained here, it is another model"
    assert not known(parse(tiny.replace("True", "True, epochs=3")), "imagenet")
    assert not known(parse(tiny), "cifar10") and not known(parse("vit"), "imagenet")
    assert known(parse(tiny.replace(".fb_in1k", "")), "imagenet") == known(parse(tiny), "imagenet")
    assert [one.value for one in known(parse("timm(name='resnet50', pretrained=True)"), "imagenet")] == [0.81214], "a1"
    resnet = parse("timm(name='resnet50.tv_in1k', pretrained=True)")
    assert [one.value for one in known(resnet, "imagenet")] == [pytest.approx(0.7613)] * 2
    assert [one.value for one in known(resnet, "imagenet_a")] == [0.0]
    (corrupted,) = known(resnet, "imagenet_c")
    assert corrupted.value == pytest.approx(0.38104, abs=1e-5)
    lite = known(parse("efficientnet_lite(size=2)"), "imagenet")
    assert [(one.value, one.source) for one in lite] == [(pytest.approx(0.77464), "timm")]


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_the_testbeds_models_are_timms_of_the_same_weights(name: str) -> None:
    timm, testbed = known(Call("timm", {"name": name, "pretrained": True}), "imagenet")
    assert timm.value == pytest.approx(testbed.value, abs=0.004), "another library decodes and resizes otherwise"


def test_the_difference_stands_with_our_interval() -> None:
    fast = "robustbench(name='Wong2020Fast')"
    table = fidelity(of(fast, attack="autoattack(eps=8/255)", eps=8 / 255, linf=0.03), of("vit", weights="other"))
    assert table is not None
    (clean, robust) = table.rows
    assert [label for label, _ in table.rows] == [f"{fast} · Clean", f"{fast} · Robust L∞ 8/255"]
    assert [cell.value for cell in clean[1]] == pytest.approx([1.0, 0.8334, 0.1666])
    assert [cell.value for cell in robust[1]] == pytest.approx([0.75, 0.4321, 0.3179])
    low, _ = wilson(3, 4)
    assert robust[1][0].text == f"75.0 ± {100 * (0.75 - low):.1f}" and robust[1][2].text.startswith("+31.8 ± ")
    assert any("AutoAttack, 10,000 images" in line for line in table.caption)
    assert "| 43.2 |" in as_markdown(table)


def test_of_another_radius_or_norm_nothing_is_compared() -> None:
    fast = "robustbench(name='Wong2020Fast')"
    table = fidelity(of(fast, attack="pgd_linf(eps=0.1)"))
    assert table is not None and [label for label, _ in table.rows] == [f"{fast} · Clean"]
    minimal = of(fast, attack="cw_linf", eps=None, goal="minimal")
    table = fidelity(minimal)
    assert table is not None and table.rows[1][1][0].value == 1.0, "the perturbations, of 0.05, are larger than 8/255"
    assert fidelity(of("vit")) is None
