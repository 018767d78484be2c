from __future__ import annotations

import io
import os
import random
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from sightline.errors import UserError
from sightline.images import (
    MAX_PIXELS,
    ImageError,
    list_images,
    read_header,
    read_image,
    read_size,
    shrink_factor,
)

ORIENTATION = 0x0112


def smooth(height: int = 40, width: int = 56) -> np.ndarray:
    """A picture without symmetry that JPEG keeps well."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 255 // height, x * 255 // width, (x + y) * 255 // (height + width)], -1).astype(np.uint8)


def save(path: Path, pixels: np.ndarray | Image.Image, fmt: str | None = None, **options: object) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, fmt, **options)  # type: ignore[arg-type]
    return path


def rotated(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def png16(path: Path, pixels: np.ndarray) -> Path:
    """Write a 16-bit colour PNG, which Pillow cannot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


# ---- what is read, and how


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif", "webp", "ppm", "jp2"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    pixels = (smooth() // 64 * 64) if suffix == "gif" else smooth()
    options = {"webp": {"lossless": True}, "jp2": {"irreversible": False}}.get(suffix, {})
    path = save(tmp_path / f"a.{suffix}", pixels, **options)
    got = read_image(path)
    assert got.dtype == np.uint8
    assert got.flags["C_CONTIGUOUS"]
    assert got.flags["WRITEABLE"]
    assert np.array_equal(got, pixels)
    assert read_size(path) == (40, 56)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_agrees_with_pillow(tmp_path: Path, progressive: bool) -> None:
    path = save(tmp_path / "a.jpg", smooth(), quality=95, progressive=progressive)
    with Image.open(path) as oracle:
        assert np.abs(read_image(path).astype(int) - np.asarray(oracle)).max() <= 2
        grey = np.asarray(oracle.convert("L"))
    got = read_image(path, channels=1)
    assert got.shape == (40, 56, 1)
    assert np.abs(got[..., 0].astype(int) - grey).max() <= 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_the_exif_rotation_is_applied(tmp_path: Path, suffix: str, orientation: int, channels: int) -> None:
    path = save(tmp_path / f"a.{suffix}", smooth(), exif=rotated(orientation))
    with Image.open(path) as picture:
        oracle = ImageOps.exif_transpose(picture).convert("RGB" if channels == 3 else "L")
    expected = np.asarray(oracle).reshape(oracle.height, oracle.width, channels)
    got = read_image(path, channels=channels)
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= 3
    assert read_size(path) == expected.shape[:2]


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_orientation_that_does_not_exist_is_upright(tmp_path: Path, orientation: int) -> None:
    path = save(tmp_path / "a.jpg", smooth(), exif=rotated(orientation))
    assert read_image(path).shape == (40, 56, 3)


def test_a_png_with_exif_behind_its_pixels_is_turned(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", smooth(), exif=rotated(6))
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    path.write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    assert read_size(path) == (56, 40)
    assert np.array_equal(read_image(path), np.rot90(smooth(), -1))


def test_the_header_tells_the_stored_and_the_upright_size(tmp_path: Path) -> None:
    header = read_header(save(tmp_path / "a.jpg", smooth(), exif=rotated(8)))
    assert (header.format, header.stored_hw, header.size_hw, header.orientation) == ("JPEG", (40, 56), (56, 40), 8)


def test_16_bit_grey_uses_the_whole_range_and_is_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 40 * 56).astype(np.uint16).reshape(40, 56)
    for path in (
        save(tmp_path / "a.png", values),
        save(tmp_path / "a.tif", values),
        save(tmp_path / "a.pgm", Image.fromarray(values.astype(np.int32)), "PPM"),
    ):
        got = read_image(path)
        assert got.shape == (40, 56, 3)
        assert np.abs(got - values[..., None] / 257).max() <= 1
        assert (got.min(), got.max()) == (0, 255)
        assert np.array_equal(read_image(path, channels=1)[..., 0], got[..., 0])


def test_16_bit_colour_uses_the_whole_range(tmp_path: Path) -> None:
    values = smooth().astype(np.uint16) * 257
    assert np.array_equal(read_image(png16(tmp_path / "a.png", values)), smooth())


def test_32_bit_pictures_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.zeros((8, 8), np.float32))
    with pytest.raises(UserError, match="32 bits for each pixel and no known range"):
        read_image(path)


def test_one_bit_pictures_become_black_and_white(tmp_path: Path) -> None:
    bits = smooth()[..., 0] > 99
    got = read_image(save(tmp_path / "a.png", Image.fromarray(bits)))
    assert np.array_equal(got, np.where(bits, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2))


def test_grey_pictures_get_three_equal_channels(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        got = read_image(save(tmp_path / name, smooth()[..., 0], quality=100))
        assert got.shape == (40, 56, 3)
        assert np.array_equal(got[..., 0], got[..., 2])
        assert np.abs(got[..., 0].astype(int) - smooth()[..., 0]).max() <= 2


def test_a_palette_becomes_its_colours_and_its_transparent_colour_black(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 0]], np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette([10, 20, 30, 200, 100, 50, 255, 255, 255])
    colours = np.array([[10, 20, 30], [200, 100, 50], [255, 255, 255]], np.uint8)
    assert np.array_equal(read_image(save(tmp_path / "a.png", picture)), colours[indices])
    colours[2] = 0
    assert np.array_equal(read_image(save(tmp_path / "b.png", picture, transparency=2)), colours[indices])


def test_alpha_is_laid_over_black(tmp_path: Path) -> None:
    pixels = np.full((4, 6, 4), (200, 100, 40, 255), np.uint8)
    pixels[0, 0, 3], pixels[1, 1, 3] = 0, 128
    got = read_image(save(tmp_path / "a.png", pixels))
    assert got[0, 0].tolist() == [0, 0, 0]
    assert got[2, 2].tolist() == [200, 100, 40]
    assert np.abs(got[1, 1].astype(int) - (100, 50, 20)).max() <= 1
    grey = np.full((4, 6, 2), (200, 0), np.uint8)
    assert read_image(save(tmp_path / "b.png", Image.fromarray(grey, "LA"))).max() == 0


def test_cmyk_jpegs_become_rgb(tmp_path: Path) -> None:
    picture = Image.fromarray(smooth()).convert("CMYK")
    got = read_image(save(tmp_path / "a.jpg", picture, quality=100))
    assert np.abs(got.astype(int) - np.asarray(picture.convert("RGB"))).max() <= 6


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_the_first_frame_of_an_animation_counts(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:], duration=50, **options)
    assert (read_image(path) == (255, 0, 0)).all()


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        path = save(tmp_path / name, np.full((1, 1, 3), 90, np.uint8))
        assert np.abs(read_image(path, shrink_to=(1, 1)).astype(int) - 90).max() <= 1
        assert read_image(path, channels=1).shape == (1, 1, 1)


def test_a_wrong_extension_does_not_matter(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", smooth(), "PNG")
    assert np.array_equal(read_image(path), smooth())
    assert read_header(path).format == "PNG"
    assert read_image(save(tmp_path / "b.png", smooth(), "JPEG")).shape == (40, 56, 3)


def test_bytes_behind_the_end_of_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", smooth())
    whole = read_image(path)
    path.write_bytes(path.read_bytes() + b"trailer" * 50)
    assert np.array_equal(read_image(path), whole)


# ---- shrinking while decoding


@pytest.mark.parametrize(
    ("size_hw", "enough_hw", "factor"),
    [((256, 320), (64, 64), 4), ((256, 320), (32, 40), 8), ((256, 320), (33, 40), 4), ((256, 320), (200, 1), 1),
     ((241, 321), (121, 161), 2), ((241, 321), (122, 161), 1), ((16, 16), (64, 64), 1)],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_shrinks_as_far_as_is_enough(
    tmp_path: Path, size_hw: tuple[int, int], enough_hw: tuple[int, int], factor: int, channels: int
) -> None:
    path = save(tmp_path / "a.jpg", smooth(*size_hw), quality=95)
    got = read_image(path, channels=channels, shrink_to=enough_hw)
    assert shrink_factor(size_hw, decoded_hw=got.shape[:2]) == factor
    full = read_image(path, channels=channels).astype(float)
    cells = full[: size_hw[0] // factor * factor, : size_hw[1] // factor * factor]
    cells = cells.reshape(size_hw[0] // factor, factor, size_hw[1] // factor, factor, channels).mean((1, 3))
    assert np.abs(got[: cells.shape[0], : cells.shape[1]] - cells).max() <= 4


def test_shrinking_regards_the_size_after_the_rotation(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", smooth(64, 256), exif=rotated(6))
    assert read_image(path, shrink_to=(128, 32)).shape == (128, 32, 3)
    assert read_image(path, shrink_to=(32, 64)).shape == (256, 64, 3)


def test_a_shrunken_jpeg_is_exactly_aligned(tmp_path: Path) -> None:
    y, x = np.mgrid[:241, :321]
    blob = 255 * np.exp(-((x + 0.5 - 171.3) ** 2 + (y + 0.5 - 97.8) ** 2) / (2 * 12**2))
    path = save(tmp_path / "a.jpg", blob.astype(np.uint8), quality=98)
    for factor in (1, 2, 4, 8):
        got = read_image(path, channels=1, shrink_to=(241 // factor, 321 // factor))[..., 0].astype(float)
        assert shrink_factor((241, 321), decoded_hw=got.shape) == factor
        rows, columns = np.mgrid[: got.shape[0], : got.shape[1]]
        centre = ((columns + 0.5) * got).sum() / got.sum(), ((rows + 0.5) * got).sum() / got.sum()
        assert np.allclose(np.array(centre) * factor, (171.3, 97.8), atol=0.35)


@pytest.mark.parametrize(("size_hw", "factor"), [((1, 1), 1), ((2, 2), 2), ((3, 1), 4), ((8, 8), 8), ((1, 500), 8)])
def test_tiny_pictures_shrink_by_what_their_size_tells(tmp_path: Path, size_hw: tuple[int, int], factor: int) -> None:
    path = save(tmp_path / "a.jpg", smooth(*size_hw))
    got = read_image(path, shrink_to=(1, 1))
    assert shrink_factor(size_hw, decoded_hw=got.shape[:2]) == factor


def test_a_shape_that_no_shrinking_gives_is_the_callers_mistake() -> None:
    with pytest.raises(AssertionError, match="no reduction"):
        shrink_factor((100, 100), decoded_hw=(33, 33))


def test_what_is_not_jpeg_does_not_shrink(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.png", smooth()), shrink_to=(4, 4)).shape == (40, 56, 3)


# ---- what cannot be read


def check_fault(path: Path, fault: str, *words: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert caught.value.fault == fault
    for word in (path.name, *words):
        assert word in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    check_fault(tmp_path / "none.jpg", "image-missing", "There is no picture")
    check_fault(tmp_path, "image-missing", "not a file")
    (tmp_path / "file").write_text("1")
    check_fault(tmp_path / "file" / "a.jpg", "image-missing")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    check_fault(tmp_path / "a.jpg", "image-empty", "0 bytes")


def test_text_named_as_a_picture_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<html>Not found</html>")
    check_fault(tmp_path / "a.jpg", "image-unreadable", "none of JPEG", "<html>")


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "ppm", "jp2", "gif"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.97])
def test_truncated_files_never_give_half_a_picture(tmp_path: Path, suffix: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    check_fault(path, "image-truncated", "truncated")


def test_a_jpeg_whose_rest_is_zeros_is_truncated(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", smooth())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3] + bytes(len(data) // 3))
    check_fault(path, "image-truncated")


def test_the_end_of_a_thumbnail_does_not_hide_a_truncation(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    Image.fromarray(smooth(16, 16)).save(thumbnail, "JPEG")
    path = save(tmp_path / "a.jpg", smooth())
    data = path.read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(thumbnail.getvalue())) + b"Thumb\0" + thumbnail.getvalue()
    path.write_bytes(data[:2] + segment + data[2:])
    assert read_image(path).shape == (40, 56, 3)
    path.write_bytes(data[:2] + segment + data[2:-40])
    check_fault(path, "image-truncated")


def test_a_damaged_png_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png"):
        read_image(path)


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    one = save(tmp_path / "a.png", np.zeros((1, 1), np.uint8))
    data = bytearray(one.read_bytes())
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    one.write_bytes(data)
    assert read_size(one) == (30_000, 30_000)
    check_fault(one, "image-too-large", "30,000 x 30,000", f"{MAX_PIXELS:,}")


def test_a_huge_png_with_late_exif_is_not_decoded_for_its_header(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", smooth(), exif=rotated(6))
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = bytearray(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    moved[16:24] = struct.pack(">II", 30_000, 20_000)
    moved[29:33] = struct.pack(">I", zlib.crc32(moved[12:29]))
    path.write_bytes(moved)
    assert read_size(path) == (30_000, 20_000)
    check_fault(path, "image-too-large")


def test_the_pixel_limit_is_an_argument(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", smooth())
    assert read_image(path, max_pixels=40 * 56).shape == (40, 56, 3)
    with pytest.raises(UserError, match="more than the limit of 2,239"):
        read_image(path, max_pixels=40 * 56 - 1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "ppm", "jp2", "gif"])
def test_damaged_bytes_give_a_picture_or_a_user_error(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", smooth())
    data, draw = path.read_bytes(), random.Random(0)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(damaged)
        with suppress(ImageError):  # any other error fails the test
            assert read_image(path, max_pixels=10**6).dtype == np.uint8


# ---- lists of pictures


def test_pictures_are_listed_sorted_and_below(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a.tiff", "c.txt", ".hidden.jpg", ".cache/x.jpg", "b/._1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == ["a.tiff", "b/1.png", "b/2.JPG"]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.png").touch()
    (tmp_path / "root").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "root" / "link")
    os.symlink(tmp_path / "root", tmp_path / "elsewhere" / "loop")
    assert [p.name for p in list_images(tmp_path / "root")] == ["1.png"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none is not a folder"):
        list_images(tmp_path / "none")
