"""Bytes of one file, within limits: plain, gzip or a member of a zip."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from typing import BinaryIO, cast

from kl_core.errors import FormatError

MAX_FILE_BYTES = 512 * 2**20
MAX_ZIP_BYTES = 64 * 2**30
MAX_RATIO = 200  # JSON of log-probabilities shrinks 5 to 30 times
RATIO_FROM_BYTES = 32 * 2**20
_CHUNK = 2**20
_SPLIT_HINT = "Split the file, for example into one prompt a file, or use JSON lines."


def check_size(size_bytes: int) -> None:
    """Raises FormatError for a file that is too big to read."""
    if size_bytes > MAX_FILE_BYTES:
        raise FormatError(
            f"the file has {size_bytes / 2**20:.0f} MB, more than the limit of "
            f"{MAX_FILE_BYTES / 2**20:.0f} MB",
            hint=_SPLIT_HINT,
        )


def check_ratio(packed_bytes: int, unpacked_bytes: int) -> None:
    """Raises FormatError for data that grows as only a decompression bomb does."""
    if unpacked_bytes > RATIO_FROM_BYTES and unpacked_bytes > MAX_RATIO * max(packed_bytes, 1):
        raise FormatError(
            f"{packed_bytes} compressed bytes grow to more than {unpacked_bytes}: "
            f"over {MAX_RATIO} times",
            hint="It looks like a decompression bomb; unpack it yourself if you trust it.",
        )


def read_all(stream: BinaryIO, packed_bytes: int) -> bytes:
    """The whole content, gzip undone (known by its first bytes), within the limits.

    Args:
        stream: opened for reading; not closed here.
        packed_bytes: its size before any decompression, for the ratio.

    Raises:
        FormatError: too big, a bomb, broken compression, or not readable.
    """
    try:
        start = stream.read(2)
        if start == b"\x1f\x8b":
            with gzip.GzipFile(
                mode="rb", fileobj=cast(BinaryIO, _Rejoined(start, stream))
            ) as unpacked:
                return _drain(unpacked, b"", packed_bytes)
        return _drain(stream, start, packed_bytes)
    except EOFError as error:
        raise FormatError("the compressed file ends early", hint="Copy it again.") from error
    except (zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise FormatError(f"broken compression: {error}", hint="Copy it again.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise FormatError(f"it cannot be read: {reason}", hint="Check its permissions.") from error
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise FormatError(f"it cannot be unpacked: {error}", hint="Unpack it yourself.") from error


def _drain(stream: BinaryIO | gzip.GzipFile, start: bytes, packed_bytes: int) -> bytes:
    chunks, size = [start], len(start)
    while chunk := stream.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        check_size(size)
        check_ratio(packed_bytes, size)
    return b"".join(chunks)


class _Rejoined:
    """A stream with the bytes put back that were read to recognise it."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if not self._start:
            return self._rest.read(size)
        if size < 0:
            taken, self._start = self._start + self._rest.read(), b""
            return taken
        taken, self._start = self._start[:size], self._start[size:]
        return taken
