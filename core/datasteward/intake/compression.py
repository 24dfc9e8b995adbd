"""Opening compressed files as plain bytes."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import BinaryIO, cast

from datasteward.errors import ToolError
from datasteward.intake.model import Compression, Part

_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
)


def find_compression(head: bytes) -> Compression:
    """The compression by the first bytes of a file; office documents, which are zip files too, are the caller's concern."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "none")


def zip_members(path: Path) -> tuple[Part, ...]:
    """The files inside a zip archive by name, folders and hidden files left out."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [i.filename for i in archive.infolist() if not i.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise ToolError(f"{path.name} is not a readable zip archive: {error}.", code="runtime") from error
    return tuple(Part(name=n) for n in names if not Path(n).name.startswith(".") and "__MACOSX" not in n)


def open_plain(path: Path, compression: Compression, member: str | None = None) -> BinaryIO:
    """The uncompressed bytes of `path` as a stream; raises `ToolError` when the archive cannot be opened."""
    match compression:
        case "none":
            return path.open("rb")
        case "gzip":
            return cast(BinaryIO, gzip.open(path, "rb"))
        case "bzip2":
            return cast(BinaryIO, bz2.open(path, "rb"))
        case "xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
        case "zstd":
            import pyarrow as pa

            return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")))
        case "zip":
            return _open_member(path, member)


def _open_member(path: Path, member: str | None) -> BinaryIO:
    members = zip_members(path)
    if not members:
        raise ToolError(f"{path.name} holds no files.", code="not_found")
    chosen = member or members[0].name
    if chosen not in {m.name for m in members}:
        listed = ", ".join(m.name for m in members[:10])
        raise ToolError(f"{path.name} holds no file '{chosen}'.", code="not_found", hint=f"It holds: {listed}.")
    archive = zipfile.ZipFile(path)
    try:
        return cast(BinaryIO, archive.open(chosen))
    except (RuntimeError, NotImplementedError) as error:
        raise ToolError(f"{chosen} in {path.name} cannot be read: {error}.", code="runtime") from error


def read_head(path: Path, compression: Compression, size_bytes: int, member: str | None = None) -> bytes:
    """At most `size_bytes` uncompressed bytes from the start; raises `ToolError` for a damaged archive."""
    try:
        with open_plain(path, compression, member) as stream:
            return stream.read(size_bytes)
    except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise ToolError(f"{path.name} is damaged or not {compression}: {error}.", code="runtime") from error
