"""ImageNet and its natural sisters: found in every layout, labelled by wnid, read as published models are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

import robench
from robench import DATASETS, DataError, Places, Splits, UsageError, load_imagenet, load_natural
from robench.data import imagenet
from robench.data.imagenet import imagenet_classes
from robench.data.loading import load_data
from robench.data.natural import NaturalSet, load_out_of_distribution, natural_classes
from robench.data.pictures import Interpolation, cropped, prepared, unchanged
from robench.training.outputs import outputs_of
from tests.data.test_data import real_data

TENCH, FIRST_CRANE, SECOND_CRANE = "n01440764", "n02012849", "n03126707"
PLACES_OF_THESE = [0, 134, 517]
THREE = [TENCH, FIRST_CRANE, SECOND_CRANE]
GREYS = {TENCH: 10, FIRST_CRANE: 20, SECOND_CRANE: 30}

BRIGHTNESS = '''
"""A model of ImageNet that is the surer of the goldfish, class 1, the brighter an image is."""

import torch

import robench


class Brightness(torch.nn.Module):
    def forward(self, inputs):
        logits = torch.zeros(len(inputs), 1000, device=inputs.device)
        logits[:, 1] = 9 * inputs.mean((1, 2, 3))
        return logits


@robench.defense(paper="none")
def brightness(task: robench.Task) -> robench.Recipe:
    """Sure of bright images."""
    return robench.Recipe(Brightness(), robench.Schedule(steps=0))
'''


def pictures(folder: Path, wnids: Sequence[str], count: int = 1, side: int = 40) -> Path:
    """Grey pictures, of another grey for each class and picture."""
    for place, wnid in enumerate(wnids):
        (folder / wnid).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            grey = GREYS.get(wnid, 40 + place % 150) + i
            Image.new("RGB", (side, side + 9), (grey, grey, grey)).save(folder / wnid / f"{i}.png")
    return folder


def places(data: Path) -> Places:
    return Places(data, data.parent / "cache", data.parent / "store", download=False)


def small(data: Path) -> Splits:
    return load_imagenet(places(data), resize=16, size=8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_a_class_is_known_by_place_wnid_and_a_word_of_its_own() -> None:
    classes = imagenet_classes()
    assert [known.index for known in classes] == list(range(1000))
    assert (classes[0].wnid, classes[0].word) == (TENCH, "tench")
    assert len({known.word for known in classes}) == 1000
    shared = [known.word for known in classes if known.wnid in known.word]
    assert shared == ["crane n02012849", "crane n03126707", "maillot n03710637", "maillot n03710721"]


@pytest.mark.parametrize(
    "layout",
    [
        "imagenet/val",
        "ImageNet/val",
        "imagenet/validation",
        "imagenet",
        "ILSVRC2012",
        "ILSVRC2012/val",
        "ILSVRC2012_img_val",
        "imagenet/ILSVRC2012/val",
        "imagenet-1k/val",
        "ILSVRC/Data/CLS-LOC/val",
    ],
)
def test_it_is_found_in_the_layouts_that_there_are(data: Path, layout: str) -> None:
    pictures(data / layout, THREE)
    splits = small(data)
    assert splits.test.targets().tolist() == PLACES_OF_THESE
    assert splits.test.pixels(slice(None))[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert str(data / layout) in splits.source


def test_a_training_folder_beside_is_not_read_and_the_data_folder_itself_may_bear_the_name(tmp_path: Path) -> None:
    root = tmp_path / "imagenet"
    pictures(root / "val", [TENCH])
    pictures(root / "train", THREE)
    (root / "train" / TENCH / "broken.png").write_bytes(b"no picture")
    splits = small(root)
    assert (splits.test.targets().tolist(), len(splits.train), len(splits.validation)) == ([0], 0, 0)


def test_labels_are_among_all_1000_classes_where_some_are_missing(data: Path) -> None:
    splits = small(pictures(data / "imagenet" / "val", THREE).parents[1])
    assert (splits.classes, len(splits.names), splits.order) == (1000, 1000, "in ImageNet's order of wnids")
    assert [splits.names[label] for label in splits.test.targets()] == ["tench", "crane n02012849", "crane n03126707"]
    assert splits.among is not None
    assert (splits.among.outputs, splits.among.width, splits.among.everything) == (tuple(PLACES_OF_THESE), 1000, True)
    assert outputs_of(splits, 1000, "a model").chosen is None


def test_what_is_no_validation_set_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(data / "imagenet" / "val", THREE[:2], count=2)
    told = "4 photographs, of 2 classes: not the validation set of 50,000 images, 50 a class, and figures on them are no ImageNet"
    assert small(data).source.startswith(told)
    monkeypatch.setattr(imagenet, "IMAGES", 4)
    monkeypatch.setattr(imagenet, "EACH", 2)
    assert small(data).source == (
        f"ImageNet's 4 validation images (shorter side 16 (bilinear), centre 8 x 8) in {data}/imagenet/val"
    )
    (data / "imagenet" / "val" / TENCH / "0.png").rename(data / "imagenet" / "val" / FIRST_CRANE / "2.png")
    assert small(data).source.startswith("4 photographs, of 2 classes: not the validation set of 4 images, 2 a class,")


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sides", [(500, 375), (333, 500), (256, 256), (257, 300), (60, 91), (45, 37)])
def test_pixels_are_those_of_torchvisions_resize_and_crop(
    tmp_path: Path, sides: tuple[int, int], interpolation: Interpolation
) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*sides, 3), dtype=np.uint8))
    picture.save(tmp_path / "x.png")
    mode = transforms.InterpolationMode(interpolation)
    for resize, size in ((256, 224), (64, 57), (32, 32)):
        known = transforms.Compose([transforms.Resize(resize, mode), transforms.CenterCrop(size)])
        read = prepared(tmp_path / "x.png", resize, size, interpolation)
        assert (read == np.asarray(known(picture))).all()


def test_a_folder_is_read_as_before_bicubic_and_with_its_longer_side_rounded(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8))
    picture.save(tmp_path / "x.png")
    whole = picture.resize((33, 20), Image.Resampling.BICUBIC)  # 20 / 37 * 61 = 32.97; cut off it would be 32
    assert (cropped(tmp_path / "x.png", 20) == np.asarray(whole)[:, 6:26]).all()


def test_the_published_preprocessing_is_the_default_and_the_options_change_the_pixels(data: Path) -> None:
    pictures(data / "imagenet", [TENCH])
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data / "imagenet" / TENCH / "0.png")
    seen = {}
    for options in ("", "interpolation='bicubic'", "resize=224", "resize=64, size=48"):
        splits = load_data(f"imagenet({options})", places(data)).splits
        seen[splits.test.pixels([0]).tobytes()] = splits.source.partition(" in ")[0].partition("accuracies ")[2]
    assert list(seen.values()) == [
        "(shorter side 256 (bilinear), centre 224 x 224)",
        "(shorter side 256 (bicubic), centre 224 x 224)",
        "(shorter side 224 (bilinear), centre 224 x 224)",
        "(shorter side 64 (bilinear), centre 48 x 48)",
    ]


def test_a_crop_larger_than_the_picture_is_refused(data: Path) -> None:
    pictures(data / "imagenet", [TENCH])
    with pytest.raises(UsageError, match=r"size=300 is a larger crop than resize=256 .* at least 300"):
        load_data("imagenet(size=300)", places(data))
    file = data / "imagenet" / TENCH / "0.png"
    with pytest.raises(DataError, match=r"0.png, 40 x 49 and resized to 30 .* smaller than the crop of 31 x 31"):
        prepared(file, 30, 31, "bilinear")
    with pytest.raises(DataError, match=r"0.png is 40 x 49, and 40 x 40 was wanted"):
        unchanged(file, 40)


def test_what_was_not_found_says_where_it_was_looked_for_and_how_to_lay_it(data: Path) -> None:
    with pytest.raises(
        DataError, match=r"imagenet was not found, .*no data folder is named\. .*--data or ROBENCH_DATA"
    ):
        load_imagenet(Places(None, data, data))
    with pytest.raises(DataError, match=r"there is no folder '.*/data/none'"):
        load_imagenet(places(data / "none"))
    with pytest.raises(DataError, match=r"no folder there bears its name\). Lay it as .*/data/imagenet/val/n01440764/"):
        load_imagenet(places(data))
    (data / "imagenet" / "val").mkdir(parents=True)
    Image.new("L", (9, 9)).save(data / "imagenet" / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(
        DataError, match=r"imagenet/val \(it holds pictures, but in no class folders: sort them by wnid\)"
    ):
        load_imagenet(places(data))


@pytest.mark.parametrize("folder", ["n99999999", "tench"])
def test_a_folder_that_is_no_class_is_refused_by_name(data: Path, folder: str) -> None:
    pictures(data / "imagenet" / "val", [TENCH, folder])
    with pytest.raises(
        DataError, match=rf"imagenet/val has the class folder '{folder}', which is none of ImageNet's 1,000"
    ):
        small(data)


def test_class_folders_without_pictures_are_told(data: Path) -> None:
    (data / "imagenet" / "val" / TENCH).mkdir(parents=True)
    with pytest.raises(DataError, match=f"the class folders of .*val hold no pictures \\('{TENCH}'\\)"):
        small(data)


@real_data
def test_the_photographs_of_the_data_folder_are_one_a_class_and_no_validation_set() -> None:
    found = Places.of()
    if found.data is None or not (found.data / "imagenet").is_dir():
        pytest.skip("needs imagenet/ under ROBENCH_DATA")
    splits = load_data("imagenet", found).splits
    if len(splits.test) != 1000:
        pytest.skip("there is another ImageNet under ROBENCH_DATA")
    assert splits.test.targets().tolist() == list(range(1000))
    assert splits.test.shape == (3, 224, 224)
    assert splits.source.startswith(
        "1,000 photographs, one a class: not the validation set of 50,000 images, 50 a class"
    )


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("imagenet_a", [6, 11, 13, 15, 17, 22], [981, 984, 986, 987, 988]),
        ("imagenet_r", [1, 2, 4, 6, 8, 9], [967, 980, 981, 983, 988]),
        ("imagenet_o", [1, 51, 70, 79, 89, 90], [971, 980, 987, 988, 996]),
    ],
)
def test_the_200_classes_are_the_published_ones(name: NaturalSet, first: list[int], last: list[int]) -> None:
    places_of = [known.index for known in natural_classes(name)]
    assert (len(places_of), places_of[:6], places_of[-5:]) == (200, first, last)
    assert places_of == sorted(places_of)


def test_86_classes_are_of_both_sets_and_sums_of_the_places_are_the_published_ones() -> None:
    a, r, o = ({known.index for known in natural_classes(n)} for n in ("imagenet_a", "imagenet_r", "imagenet_o"))
    assert len(a & r) == 86
    assert (sum(a), sum(r), sum(o)) == (102_178, 86_135, 134_542)


@pytest.mark.parametrize("folder", ["imagenet-a", "imagenet_a", "ImageNet-A", "imagenet-a/imagenet-a"])
def test_200_classes_are_read_among_themselves_or_among_all(data: Path, folder: str) -> None:
    own = natural_classes("imagenet_a")
    pictures(data / folder, [own[3].wnid, own[199].wnid])
    (data / folder / "README.txt").write_text("n01498041 stingray")
    present = load_natural(places(data), "imagenet_a", resize=16, size=8)
    assert (present.classes, present.test.targets().tolist()) == (200, [3, 199])
    assert (present.names[3], present.names[199]) == (own[3].word, own[199].word)
    assert outputs_of(present, 1000, "a model").chosen == tuple(known.index for known in own)
    everything = load_natural(places(data), "imagenet_a", "all", resize=16, size=8)
    assert (everything.classes, everything.test.targets().tolist()) == (1000, [own[3].index, own[199].index])
    assert outputs_of(everything, 1000, "a model").chosen is None


def test_missing_classes_and_images_are_told_and_foreign_ones_refused(data: Path) -> None:
    wnids = [known.wnid for known in natural_classes("imagenet_r")]
    pictures(data / "imagenet-r", wnids[2:])
    source = load_natural(places(data), "imagenet_r", resize=16, size=8).source
    assert source == (
        "ImageNet-R, 198 images of the 30,000 published, without images of 2 of its classes ('goldfish', 'great white shark') "
        f"(shorter side 16 (bilinear), centre 8 x 8) in {data}/imagenet-r"
    )
    pictures(data / "imagenet-r", [TENCH])
    with pytest.raises(DataError, match=f"has the class folder '{TENCH}', which is none of ImageNet-R's 200 classes"):
        load_natural(places(data), "imagenet_r")
    with pytest.raises(DataError, match="imagenet_a was not found, .*/imagenet-a/WNID/IMAGE"):
        load_natural(places(data), "imagenet_a")


@pytest.mark.parametrize("name", ["imagenet_a", "imagenet_r"])
def test_the_entries_read_their_own_sets_with_their_options(data: Path, name: NaturalSet) -> None:
    wnid = natural_classes(name)[7].wnid
    pictures(data / name, [wnid])
    splits = load_data(f"{name}(among='all', resize=16, size=8, interpolation='bicubic')", places(data)).splits
    assert (splits.classes, splits.test.shape) == (1000, (3, 8, 8))
    assert "shorter side 16 (bicubic)" in splits.source
    assert DATASETS[name].options["among"].default == "present"


def test_pictures_of_no_class_stand_behind_the_classes_that_they_are_told_from(data: Path) -> None:
    inside = natural_classes("imagenet_o")
    pictures(data / "imagenet-o", ["n00000002", "n00000001"], count=2)
    pictures(data / "imagenet" / "val", [inside[3].wnid, TENCH])
    splits = load_out_of_distribution(places(data), resize=16, size=8)
    assert (splits.classes, splits.unseen, splits.names[3], splits.names[200:]) == (
        202,
        2,
        inside[3].word,
        ("n00000001", "n00000002"),
    )
    assert sorted(splits.test.targets().tolist()) == [3, 200, 200, 201, 201]
    assert splits.source.startswith(
        "ImageNet-O, 4 images of the 2,000 published, beside 1 images of ImageNet's 200 classes, not the 10,000 validation images"
    )
    outputs = outputs_of(splits, 1000, "a model")
    assert (outputs.classes, outputs.chosen) == (202, tuple(known.index for known in inside))
    assert outputs_of(splits, 200, "a model").chosen is None
    logits = outputs.of(torch.nn.Identity())(torch.arange(1000.0)[None])
    assert logits[0, :200].tolist() == [known.index for known in inside]
    assert logits[0, 200:].tolist() == [inside[0].index - 1000.0] * 2
    assert logits.double().softmax(1)[0, 200:].tolist() == [0, 0]
    pictures(data / "imagenet-o", [TENCH])
    with pytest.raises(DataError, match=f"has the class folder '{TENCH}', which is one of ImageNet's classes"):
        load_out_of_distribution(places(data))


def test_classes_that_are_not_seen_are_detected_and_attacked_by_nobody(data: Path) -> None:
    """The confidence of a model that says the brightness; the photographs of the known classes are the brighter ones."""
    inside = natural_classes("imagenet_o")
    pictures(data / "imagenet-o", ["n00000001", "n00000002"], count=2)
    pictures(data / "imagenet" / "val", [known.wnid for known in inside[:4]])
    with pytest.raises(UsageError, match=r"imagenet_o.* no class that a model could name.*--attack clean"):
        robench.run("vit", "fgsm", "imagenet_o(resize=16, size=8)", data=data, store=data / "s", cache=data / "c")
    mine = data.parent / "mine.py"
    mine.write_text(BRIGHTNESS)
    for folder in (data / "imagenet" / "val").iterdir():
        Image.new("RGB", (40, 40), (250, 250, 250)).save(folder / "0.png")
    result = robench.run(
        str(mine), "clean", "imagenet_o(resize=16, size=8)", data=data, store=data.parent / "s", cache=data.parent / "c"
    )
    (table,) = result.tables()
    assert table.title == "Detection of unseen classes, imagenet_o(resize=16, size=8)"
    assert [cell.text for cell in table.rows[0][1]] == ["100.0", "100.0", "0.0", "25.0"]
    assert table.caption[0].startswith(
        "4 images of known classes and 4 of unseen ones (ImageNet-O, 4 images of the 2,000"
    )
    assert "chance is 50.0 and 50" in table.caption[0]
    (cell,) = result.summary()
    assert cell["detection"] == {"auroc": 1, "aupr": 1, "fpr95": 0}
    assert cell["clean_accuracy"]["total"] == 4  # type: ignore[index, call-overload]
