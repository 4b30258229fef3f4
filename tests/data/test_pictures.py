"""Pictures of every kind: read right by a stated rule, or refused by one error that names the file."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from robench import DataError
from robench.data.pictures import cropped, picture, picture_pixels

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)


def encoded(image: Image.Image, form: str = "png", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def no_bytes(value: object) -> str | None:
    """Names of tests without the bytes of a picture: other processes may write other ones."""
    return "picture" if isinstance(value, bytes | np.ndarray) else None


def opaque(array: np.ndarray[Any, Any], alpha: int = 255) -> np.ndarray[Any, Any]:
    return np.dstack([array, np.full(array.shape[:2], alpha, np.uint8)])


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (encoded(Image.fromarray(GREY)), GREY),
        (encoded(Image.fromarray(COLOUR)), COLOUR),
        (encoded(Image.fromarray(COLOUR), "bmp"), COLOUR),
        (encoded(Image.fromarray(COLOUR), "webp", lossless=True), COLOUR),
        (encoded(Image.fromarray(COLOUR), "tiff"), COLOUR),
        (encoded(Image.fromarray(GREY), "ppm"), GREY),
        (encoded(Image.fromarray(GREY > 100)), np.where(GREY > 100, 255, 0)),
        (encoded(Image.fromarray(GREY.astype(np.uint16) * 257)), GREY),
        (encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "tiff"), GREY),
        (encoded(Image.fromarray(opaque(GREY), "LA")), GREY),
        (encoded(Image.fromarray(opaque(COLOUR), "RGBA")), COLOUR),
        (encoded(Image.fromarray(COLOUR).quantize(24)), COLOUR),
        (encoded(Image.fromarray(COLOUR).quantize(24), "gif"), COLOUR),
        (encoded(Image.fromarray(COLOUR).convert("CMYK"), "tiff"), COLOUR),
    ],
    ids=no_bytes,
)
def test_a_picture_is_read_right(content: bytes, wanted: np.ndarray[Any, Any]) -> None:
    assert (picture_pixels(content, "x.png") == wanted).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_an_exif_orientation_is_followed(turn: int, tmp_path: Path) -> None:
    stored = Image.fromarray(np.repeat(np.repeat(COLOUR, 8, axis=0), 8, axis=1))
    exif = Image.Exif()
    exif[0x0112] = turn
    shown = {
        1: stored,
        2: stored.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: stored.transpose(Image.Transpose.ROTATE_180),
        4: stored.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: stored.transpose(Image.Transpose.TRANSPOSE),
        6: stored.transpose(Image.Transpose.ROTATE_270),
        7: stored.transpose(Image.Transpose.TRANSVERSE),
        8: stored.transpose(Image.Transpose.ROTATE_90),
    }[turn]
    assert (picture_pixels(encoded(stored, "png", exif=exif), "x.png") == np.asarray(shown)).all()


def test_the_first_picture_of_a_phones_mpo_counts() -> None:
    both = encoded(
        Image.fromarray(COLOUR), "mpo", save_all=True, append_images=[Image.fromarray(255 - COLOUR)], quality=100
    )
    assert abs(picture_pixels(both, "x.jpg").astype(int).mean() - COLOUR.mean()) < 2


def frames(form: str) -> bytes:
    first, second = Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)
    return encoded(first, form, save_all=True, append_images=[second])


def png() -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)))


def with_short_chunk() -> bytes:
    whole = png()
    at = whole.index(b"IDAT") - 4
    half = int.from_bytes(whole[at : at + 4], "big") // 2
    return whole[:at] + half.to_bytes(4, "big") + whole[at + 4 :]


def flipped() -> bytes:
    whole = bytearray(png())
    whole[len(whole) // 2] ^= 0xFF
    return bytes(whole)


def tiff(bits: int, content: bytes, photometric: int = 1, form: int = 1) -> bytes:
    """A grey TIFF of 4 x 6 pixels."""
    tags = {256: 6, 257: 4, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 4, 279: len(content), 339: form}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + content


def of_12_bits() -> bytes:
    values = (GREY.astype(int) * 16).flatten().tolist()
    pairs = zip(values[::2], values[1::2], strict=True)
    return bytes(b for one, two in pairs for b in (one >> 4, (one & 15) << 4 | two >> 8, two & 255))


def with_transparent_grey(value: int) -> bytes:
    """A 16-bit grey PNG, one value of which is transparent."""
    whole = encoded(Image.fromarray(GREY.astype(np.uint16) * 257))
    chunk = b"tRNS" + struct.pack(">H", value)
    at = whole.index(b"IDAT") - 4
    return whole[:at] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[at:]


jpeg = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)), "jpeg")
holed = opaque(COLOUR)
holed[1, 1, 3] = 0


def test_12_bits_are_12_and_a_transparent_value_that_no_pixel_has_is_none() -> None:
    assert (picture_pixels(tiff(12, of_12_bits()), "x.tif") == GREY).all()
    assert (picture_pixels(tiff(16, (GREY.astype("<u2") * 257).tobytes()), "x.tif") == GREY).all()
    assert (picture_pixels(tiff(8, (255 - GREY).tobytes(), photometric=0), "x.tif") == GREY).all()
    assert (picture_pixels(with_transparent_grey(1), "x.png") == GREY).all()
    black = encoded(Image.fromarray(np.zeros((4, 6), np.uint16)))
    assert not picture_pixels(black, "x.png").any()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (encoded(Image.fromarray(GREY.astype(np.uint16) * 16)), "16 bits, but no pixel above 3680"),
        (encoded(Image.fromarray(GREY.astype(np.uint16) * 4), "tiff"), "16 bits, but no pixel above 920"),
        (tiff(16, (GREY.astype("<u2") * 257).tobytes(), photometric=0), "16 bits of which 0 is white"),
        (tiff(16, GREY.astype("<i2").tobytes(), form=2), "of mode I"),
        (tiff(8, GREY.tobytes(), form=2), "signed pixels"),
        (with_transparent_grey(20 * 257), "transparent pixels"),
        (b"not an image", "is truncated or is not an image .none of BMP, GIF"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "a resource file of macOS"),
        (png()[:600], "is truncated or is not an image"),
        (png()[:20], "is truncated or is not an image"),
        (jpeg[: len(jpeg) // 2], "is truncated or is not an image"),
        (with_short_chunk(), "is truncated or is not an image"),
        (flipped(), "is truncated or is not an image"),
        (encoded(Image.new("1", (20000, 10000))), "20,000 x 10,000 pixels|too large"),
        (encoded(Image.new("1", (10000, 9500))), "10,000 x 9,500 pixels"),
        (encoded(Image.fromarray(holed, "RGBA")), "has transparent pixels"),
        (encoded(Image.fromarray(opaque(GREY, 128), "LA")), "has transparent pixels"),
        (encoded(Image.fromarray(COLOUR), transparency=tuple(COLOUR[0, 0].tolist())), "has transparent pixels"),
        (encoded(Image.fromarray(COLOUR).quantize(24), transparency=0), "has transparent pixels"),
        (encoded(Image.fromarray(GREY.astype(np.float32)), "tiff"), "of mode F"),
        (encoded(Image.fromarray(GREY.astype(np.int32) * 1000), "tiff"), "of mode I"),
        (encoded(Image.fromarray(COLOUR).convert("LAB"), "tiff"), "of mode LAB"),
        (frames("png"), "holds 2 pictures"),
        (frames("gif"), "holds 2 pictures"),
        (frames("webp"), "holds 2 pictures"),
        (frames("tiff"), "holds 2 pictures"),
        (encoded(Image.fromarray(COLOUR), "eps"), "is truncated or is not an image .none of BMP"),
    ],
    ids=no_bytes,
)
def test_a_picture_that_cannot_be_read_right_is_one_error_with_its_name(
    content: bytes, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(content)
    for read in (lambda: picture(content, str(file)), lambda: cropped(file, 8)):
        with pytest.raises(DataError, match=f"x.png.* ({told})|x.png (has|is|holds) ({told})"):
            read()


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone.png"):
        cropped(tmp_path / "gone.png", 8)


def test_a_picture_as_long_as_a_street_is_not_blown_up(tmp_path: Path) -> None:
    Image.new("L", (60000, 1)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"x.png, 60000 x 1 and resized to 224 .* more than 89,478,485"):
        cropped(tmp_path / "x.png", 224)


def test_a_picture_is_resized_on_its_shorter_side_and_cropped_to_the_centre(tmp_path: Path) -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "x.png")
    assert (cropped(tmp_path / "x.png", 10) == 200).all()
    assert cropped(tmp_path / "x.png", 20).shape == (20, 20, 3)
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    assert cropped(tmp_path / "grey.png", 4).shape == (4, 4, 3)


def sixteen(colours: np.ndarray[Any, Any]) -> bytes:
    """An RGB PNG of 16 bits a sample, (H, W, 3), which Pillow cannot write."""
    height, width = colours.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_colours_of_16_bits_are_their_upper_8_unless_only_the_lower_are_used() -> None:
    assert (picture_pixels(sixteen(COLOUR.astype(int) * 257), "x.png") == COLOUR).all()
    assert not picture_pixels(sixteen(np.zeros((2, 2, 3))), "x.png").any()
    with pytest.raises(DataError, match=r"x.png has colours of 16 bits of which only the lower 12"):
        picture_pixels(sixteen(COLOUR.astype(int) * 16), "x.png")
