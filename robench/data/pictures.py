"""Pictures of any kind as 8-bit grey or RGB, by stated rules; what cannot be read right is refused by its name.

Grey, RGB and palettes are read as they are, 1 bit as black and white; of 12 and 16 bits the upper 8 count; CMYK and YCbCr
become RGB as Pillow has it, without a colour profile. An EXIF orientation is followed, as viewers do. Refused are
pictures with transparent pixels (what is behind them?), with floats, signed numbers or 32 bits, 16 bits of which only the
lower 12 are used, 16 bits whose 0 is white, animated ones, those of other colour spaces, damaged ones and such as are larger
than Pillow's limit.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from robench.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Interpolation = Literal["bilinear", "bicubic"]
"""How a picture is resized."""
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Those that Pillow may take a file for, whatever its name says: some of its others run programs."""
MAX_PIXELS = 89_478_485
"""Pillow's own limit: a larger picture is taken for a decompression bomb."""
SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
WHITE_IS_0, SIGNED = 0, 2
"""Tags of TIFF, and values of the last two."""
PNG = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG; the 25th says how many bits a sample has."""
APPLE = b"\x00\x05\x16\x07"
"""The first bytes of the `._` files that macOS leaves beside others on foreign disks."""


def picture(encoded: bytes | Path, name: str, mode: str | None = None) -> Image:
    """A picture as 8-bit grey ("L") or "RGB".

    Args:
        encoded: the bytes of a file, or a file.
        name: of the picture, for messages.
        mode: "RGB": whatever it was; None: grey stays grey.

    Raises:
        DataError: it is damaged, too large, or of a kind that cannot be read right.
    """
    from PIL import Image as pillow
    from PIL import ImageOps, UnidentifiedImageError

    pillow.init()
    try:
        content = encoded.read_bytes() if isinstance(encoded, Path) else encoded
        if content.startswith(APPLE) or not content:
            kind = "empty (0 bytes)" if not content else "no picture but a resource file of macOS"
            raise DataError(f"{name} is {kind}; take it away")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are looked at here, and of odd EXIF data
            with pillow.open(io.BytesIO(content), formats=FORMATS) as opened:
                _refuse_large(opened.width, opened.height, name)
                frames = getattr(opened, "n_frames", 1)
                if frames > 1 and opened.format != "MPO":  # a phone's MPO holds a picture and its depth
                    raise DataError(f"{name} holds {frames} pictures; save the one that counts")
                bits = _grey_bits(opened, name)
                read = _as_8_bit(ImageOps.exif_transpose(opened), name, bits)
                if content.startswith(PNG) and content[24] == 16 and opened.mode not in SIXTEEN:
                    _refuse_dark(read, name)
                return read if mode is None or read.mode == mode else read.convert(mode)
    except DataError:
        raise
    except Exception as error:  # Pillow raises many kinds, SyntaxError among them
        if isinstance(error, pillow.DecompressionBombError):
            raise DataError(f"{name} is too large to be decoded ({error}); make it smaller") from error
        why = f"none of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{name} is truncated or is not an image ({why}); replace it or take it away") from error


def picture_pixels(encoded: bytes | Path, name: str) -> NDArray[np.uint8]:
    """A picture as (H, W) or (H, W, 3), uint8.

    Args:
        encoded: the bytes of a file, or a file.
        name: of the picture, for messages.

    Raises:
        DataError: it is damaged, too large, or of a kind that cannot be read right.

    Example:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> Image.new("L", (3, 2), 7).save("grey.png")
        >>> picture_pixels(Path("grey.png"), "grey.png")
        array([[7, 7, 7],
               [7, 7, 7]], dtype=uint8)
    """
    return np.asarray(picture(encoded, name))


def cropped(file: Path, size: int) -> NDArray[np.uint8]:
    """A picture resized to `size` on its shorter side, bicubic, and cropped to the centre, (size, size, 3)."""
    from PIL import Image as pillow

    whole = picture(file, str(file), "RGB")
    scale = size / min(whole.size)
    width, height = max(size, round(whole.width * scale)), max(size, round(whole.height * scale))
    _refuse_large(width, height, f"{file}, {whole.width} x {whole.height} and resized to {size} on its shorter side,")
    resized = whole.resize((width, height), pillow.Resampling.BICUBIC)
    return _cut(resized, (width - size) // 2, (height - size) // 2, size)


def prepared(file: Path, resize: int, size: int, interpolation: Interpolation) -> NDArray[np.uint8]:
    """A picture as models of ImageNet are evaluated on it: torchvision's `Resize(resize)` and `CenterCrop(size)`.

    That is pixel by pixel what they do, so the longer side is cut to a whole number where `cropped` rounds it, and a margin
    that is odd is halved to the even number. Alone an EXIF orientation is followed here, and not there.

    Args:
        resize: pixels of the shorter side before the crop, at least `size`.

    Returns:
        (size, size, 3).

    Raises:
        DataError: it cannot be read, or would be smaller than the crop.
    """
    from PIL import Image as pillow

    whole = picture(file, str(file), "RGB")
    if resize < size:
        raise DataError(
            f"{file}, {whole.width} x {whole.height} and resized to {resize} on its shorter side, is smaller than the crop of "
            f"{size} x {size}; resize to {size} or more"
        )
    short = min(whole.size)
    width, height = (resize * side // short for side in whole.size)
    _refuse_large(width, height, f"{file}, {whole.width} x {whole.height} and resized to {resize} on its shorter side,")
    resized = whole.resize((width, height), pillow.Resampling[interpolation.upper()])
    return _cut(resized, round((width - size) / 2), round((height - size) / 2), size)


def unchanged(file: Path, size: int) -> NDArray[np.uint8]:
    """A picture that is of its size already, neither resized nor cropped, (size, size, 3).

    Raises:
        DataError: it cannot be read, or is of another size.
    """
    whole = picture(file, str(file), "RGB")
    if whole.size != (size, size):
        raise DataError(
            f"{file} is {whole.width} x {whole.height}, and {size} x {size} was wanted: these pictures are read as they are, since "
            "resizing would change what was done to them; fetch or write them again"
        )
    return np.asarray(whole)


def _cut(resized: Image, left: int, top: int, size: int) -> NDArray[np.uint8]:
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def _refuse_large(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{name} has {width:,} x {height:,} pixels, more than {MAX_PIXELS:,}; make it smaller or take it away"
        )


def _grey_bits(opened: Image, name: str) -> int:
    """Bits of a pixel of a grey picture that has more than 8, by the tags of a TIFF; 16 where it says nothing."""
    tags = getattr(opened, "tag_v2", {})
    if opened.mode != "I" and SIGNED in _all(tags.get(SAMPLE_FORMAT, 1)):
        raise DataError(f"{name} has signed pixels, of which nothing says what is black; save it as 8-bit grey or RGB")
    if opened.mode in SIXTEEN and tags.get(PHOTOMETRIC) == WHITE_IS_0:
        raise DataError(f"{name} has 16 bits of which 0 is white, which is not read; save it as 8-bit grey")
    return max(_all(tags.get(BITS_PER_SAMPLE, 16)))


def _refuse_dark(read: Image, name: str) -> None:
    """Raises DataError for colours of 16 bits, of which Pillow keeps the upper 8, where those are all but 0."""
    if 0 < int(np.asarray(read).max()) < 16:
        raise DataError(
            f"{name} has colours of 16 bits of which only the lower 12 are used: it would be almost black; scale it to 8 bits"
        )


def _all(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _upper_8(read: Image, name: str, bits: int) -> Image:
    from PIL import Image as pillow

    values = np.asarray(read).astype(np.uint32)
    if (values == read.info.get("transparency")).any():
        raise DataError(f"{name} has transparent pixels, and nothing says what is behind them; save it without alpha")
    if bits == 16 and 0 < values.max() < 4096:
        raise DataError(
            f"{name} has 16 bits, but no pixel above {values.max()}, as pictures of 12 bits or less have that were saved so: it "
            "would be almost black; scale it to 8 bits"
        )
    return pillow.fromarray((values >> (bits - 8)).astype(np.uint8))


def _as_8_bit(read: Image, name: str, bits: int) -> Image:
    if read.mode in ("LA", "RGBA", "PA", "La", "RGBa") or ("transparency" in read.info and read.mode not in SIXTEEN):
        alpha = read.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise DataError(
                f"{name} has transparent pixels, and nothing says what is behind them; save it without alpha"
            )
        return read.convert("L" if read.mode in ("1", "L", "LA", "La") else "RGB")
    if read.mode in SIXTEEN:
        return _upper_8(read, name, bits)
    if read.mode in ("L", "RGB"):
        read.load()
        return read
    if read.mode in ("1", "P", "CMYK", "YCbCr"):
        return read.convert("L" if read.mode == "1" else "RGB")
    raise DataError(f"{name} is a picture of mode {read.mode}, which is not read; save it as 8-bit grey or RGB")
