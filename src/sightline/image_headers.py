"""What a picture's file says before any pixel is decoded: format, size, orientation, or what is wrong.

In: a path. Out: a `Header`, or an `ImageError` with the kind of fault. The content decides the
format, not the name.
Next: images.py
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from sightline.errors import UserError
from sightline.members import Member, member_of

MAX_PIXELS = 2**28
"""The largest picture that is decoded unless told otherwise: 268 million pixels, 16,384 x 16,384."""

ImageFault = Literal["image-missing", "image-empty", "image-truncated", "image-unreadable", "image-too-large"]

# The plug-ins are called directly: `Image.open` would also try formats that run other
# programs, and has a pixel limit of its own that can only be moved for the whole process.
_PLUGINS: tuple[tuple[bytes, int, Callable[..., ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", 0, JpegImagePlugin.jpeg_factory),
    (b"\x89PNG\r\n\x1a\n", 0, PngImagePlugin.PngImageFile),
    (b"GIF8", 0, GifImagePlugin.GifImageFile),
    (b"BM", 0, BmpImagePlugin.BmpImageFile),
    (b"II*\x00", 0, TiffImagePlugin.TiffImageFile),
    (b"MM\x00*", 0, TiffImagePlugin.TiffImageFile),
    (b"WEBP", 8, WebPImagePlugin.WebPImageFile),
    (b"\x00\x00\x00\x0cjP  ", 0, Jpeg2KImagePlugin.Jpeg2KImageFile),
    *((b"P%d" % kind, 0, PpmImagePlugin.PpmImageFile) for kind in (1, 2, 3, 4, 5, 6)),
)
_FORMATS = "JPEG, PNG, GIF, BMP, TIFF, WebP, JPEG 2000, PBM, PGM, PPM"
_ORIENTATION_TAG = 0x0112
# The orientations for which rows are stored as columns.
TRANSPOSED = (5, 6, 7, 8)
# All that the plug-ins were seen to raise on damaged files.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class ImageError(UserError):
    """A picture that cannot be read; `fault` is the stable name of the kind of problem."""

    def __init__(self, message: str, *, fault: ImageFault) -> None:
        """Keep the message and the kind."""
        super().__init__(message)
        self.fault: ImageFault = fault


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a picture's file says before any pixel is decoded.

    Attributes:
        format: "JPEG", "PNG", ... by content, whatever the name.
        mode: Pillow's name of the kind of pixels ("RGB", "L", "P", "I;16").
        stored_hw: (height, width) as stored.
        orientation: 1..8 as in EXIF; 1 is upright.
    """

    format: str
    mode: str
    stored_hw: tuple[int, int]
    orientation: int

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) after the EXIF rotation."""
        height, width = self.stored_hw
        return (width, height) if self.orientation in TRANSPOSED else (height, width)


def read_header(path: Path, *, max_pixels: int | None = None) -> Header:
    """Read size, kind and orientation without decoding pixels.

    Raises:
        ImageError: the file is missing, empty, not a picture, or has more than `max_pixels`.
    """
    with open_picture(path, max_pixels=max_pixels) as (_, header, _):
        return header


def read_size(path: Path) -> tuple[int, int]:
    """Read a picture's (height, width) after its EXIF rotation, without decoding pixels.

    Raises:
        ImageError: the file is missing, empty or not a picture.
    """
    return read_header(path).size_hw


@contextmanager
def open_picture(
    path: Path, *, max_pixels: int | None = None
) -> Iterator[tuple[ImageFile.ImageFile, Header, IO[bytes]]]:
    """Open a picture far enough to know its header; nothing is decoded yet.

    Raises:
        ImageError: the file is missing, empty, not a picture, or has more than `max_pixels`.
    """
    with _open(path) as file:
        picture = _parse(file, path=path)
        header = _header_of(picture, file)
        if max_pixels is not None:
            _check_size(header, path=path, max_pixels=max_pixels)
        yield picture, header, file


def truncated(path: Path) -> ImageError:
    """The error for a file that ends too early."""
    return ImageError(
        f"{path} is truncated: the file ends before its picture does. Copy or download it again.",
        fault="image-truncated",
    )


def unreadable(path: Path, why: str) -> ImageError:
    """The error for a file that is damaged or no picture; `why` completes the sentence."""
    return ImageError(f"{path} cannot be read as a picture: {why}.", fault="image-unreadable")


def _open(path: Path) -> IO[bytes]:
    """Open a picture, or say why not."""
    member = member_of(path)
    if member is not None:
        return _open_member(member)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise ImageError(f"Expected a picture, but {path} is not a file.", fault="image-missing")
        if state.st_size == 0:
            raise ImageError(f"{path} is empty (0 bytes). Copy or download it again.", fault="image-empty")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"There is no picture {path}. Check the path.", fault="image-missing") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageError(f"Cannot open {path}: {reason}. Check its permissions.", fault="image-unreadable") from error


def _open_member(member: Member) -> IO[bytes]:
    """Open a picture in a tar, or say why not."""
    try:
        data = member.read()
    except FileNotFoundError as error:
        raise ImageError(f"There is no shard {member.shard}. Check the path.", fault="image-missing") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageError(f"Cannot open {member.shard}: {reason}.", fault="image-unreadable") from error
    if not member.size:
        raise ImageError(f"{member.path} is empty (0 bytes). Copy or download it again.", fault="image-empty")
    if len(data) < member.size:
        raise truncated(member.path)
    return io.BytesIO(data)


def _parse(file: IO[bytes], *, path: Path) -> ImageFile.ImageFile:
    """Let the plug-in that the first bytes call for read the header."""
    start = file.read(16)
    file.seek(0)
    for magic, offset, plugin in _PLUGINS:
        if start[offset : offset + len(magic)] == magic:
            try:
                return plugin(file, str(path))
            except DAMAGE as error:
                if not file.read(1):  # it read to the end and wanted more
                    raise truncated(path) from error
                raise unreadable(path, f"its header is damaged ({error})") from error
    raise unreadable(path, f"its content is none of {_FORMATS} (it starts with {start!r})")


def _header_of(picture: ImageFile.ImageFile, file: IO[bytes]) -> Header:
    width, height = picture.size
    orientation = 1
    if picture.format != "TIFF":  # Pillow turns TIFFs upright itself and reports the upright size
        orientation = _orientation(picture, file)
    return Header(format=picture.format or "", mode=picture.mode, stored_hw=(height, width), orientation=orientation)


def _orientation(picture: ImageFile.ImageFile, file: IO[bytes]) -> int:
    """The EXIF orientation; 1 where there is none or it is damaged, as all viewers do."""
    try:
        # Not PngImageFile.getexif, which decodes all pixels in search of a late chunk.
        chunk = _png_exif(file) if picture.format == "PNG" else None
        exif = Image.Exif()
        if chunk is not None:
            exif.load(b"Exif\x00\x00" + chunk)
        else:
            exif = Image.Image.getexif(picture)
        value = exif.get(_ORIENTATION_TAG, 1)
    except DAMAGE:
        return 1
    return value if value in range(1, 9) else 1


def _png_exif(file: IO[bytes]) -> bytes | None:
    """The eXIf chunk of a PNG, wherever it is; jumps from chunk to chunk."""
    before = file.tell()
    file.seek(8)
    found = None
    while found is None and len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            found = file.read(size)
        else:
            file.seek(size + 4, io.SEEK_CUR)
    file.seek(before)
    return found


def _check_size(header: Header, *, path: Path, max_pixels: int) -> None:
    height, width = header.size_hw
    if height * width > max_pixels:
        raise ImageError(
            f"{path} has {width:,} x {height:,} = {width * height:,} pixels, more than the limit of {max_pixels:,}. "
            "Make it smaller or cut it into parts, or raise the limit.",
            fault="image-too-large",
        )
