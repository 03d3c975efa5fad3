"""The bytes of an open file: ordinary reads that notice when the file changes, or a memory map for worker processes."""

from __future__ import annotations

import os
import stat
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sleepfm.errors import RecordingChangedError, RecordingError, RequestError

Allowed = Callable[[Path], object]
"""Raises where a path leads to a file that may not be opened, whether it is there or not."""


class Source:
    """Reads stretches of bytes of one file.

    Every read first looks whether the path still leads to the file that was opened, unchanged. With `mapped` the bytes come
    from a memory map: quicker over whole nights, but a file that shrinks then kills the process, so only workers map.

    `allowed` is asked about the path, and then about the file that was opened: a link that was turned in between helps nobody.

    Raises
    ------
    RequestError
        The path leads nowhere or to a folder.
    RecordingError
        The file is empty or may not be read.
    """

    def __init__(self, path: Path, *, mapped: bool, allowed: Allowed | None = None) -> None:
        self.path = path
        if allowed is not None:
            allowed(path)
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise RequestError(f"{path}: is a folder; name a recording in it.")
            if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
                raise RequestError(f"{path}: is a device or a pipe, not a file; name a recording.")
            self._file: BinaryIO = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise RequestError(f"{path}: there is no such file; check the path.") from None
        except PermissionError:
            raise RecordingError(f"{path}: you may not read this file; ask its owner for read permission.") from None
        except (OSError, ValueError) as error:
            raise RequestError(f"{path}: cannot be opened ({error}).") from None
        weakref.finalize(self, self._file.close)  # a recording that is forgotten closes itself
        if allowed is not None:
            try:
                allowed(_lies_at(self._file.fileno(), path))
            except BaseException:
                self._file.close()
                raise
        status = os.fstat(self._file.fileno())
        self.size = status.st_size
        self._stamp = _stamp(status)
        self._lock = threading.Lock()
        self._map: np.ndarray | None = None
        if self.size == 0:
            self._file.close()
            raise RecordingError(f"{path}: is empty (0 bytes); export or copy the recording again.")
        if mapped:
            self._map = np.memmap(self._file, dtype=np.uint8, mode="r")

    def check(self) -> None:
        """Raise RecordingChangedError when the file vanished, changed its size, was rewritten or replaced."""
        if self._file.closed:
            raise RecordingError(f"{self.path}: the recording was closed; open it again.")
        try:
            now = self.path.stat()
        except OSError:
            raise RecordingChangedError(
                f"{self.path}: the file is gone since it was opened; put it back and open it again."
            ) from None
        if _stamp(now) == self._stamp:
            return
        if now.st_size < self.size:
            what = f"the file shrank from {self.size} to {now.st_size} bytes since it was opened"
        elif (now.st_dev, now.st_ino) != self._stamp[2:]:
            what = "the file was replaced by another one since it was opened"
        else:
            what = "the file was written to since it was opened"
        raise RecordingChangedError(f"{self.path}: {what}; open it again.")

    def read(self, offset: int, length: int) -> np.ndarray:
        """Return (length,) uint8 from `offset`, after `check`."""
        self.check()
        return self._stretch(offset, length)

    def read_up_to(self, offset: int, length: int) -> np.ndarray:
        """Return what the file has of `length` bytes from `offset`, fewer at its end."""
        return self.read(offset, max(0, min(length, self.size - offset)))

    def read_strided(self, offset: int, length: int, stride: int, count: int) -> np.ndarray:
        """Return (count, length) uint8: `length` bytes at offset, offset + stride, …, after one `check`."""
        self.check()
        if self._map is not None:
            whole = self._stretch(offset, stride * (count - 1) + length) if count else self._map[:0]
            return np.lib.stride_tricks.as_strided(whole, (count, length), (stride, 1), writeable=False)
        if length * 4 >= stride or stride <= 4096:  # most bytes (or every page) would be fetched anyway: one long read
            last = min(stride * count, self.size - offset)
            block = np.zeros(stride * count, dtype=np.uint8)
            block[:last] = self._stretch(offset, last)
            return block.reshape(count, stride)[:, :length]
        rows = np.empty((count, length), dtype=np.uint8)
        for row in range(count):
            rows[row] = self._stretch(offset + row * stride, length)
        return rows

    def _stretch(self, offset: int, length: int) -> np.ndarray:
        if self._map is not None:
            piece: np.ndarray = self._map[offset : offset + length]
        else:
            piece = np.frombuffer(self._bytes(offset, length), dtype=np.uint8)
        if piece.size != length:
            raise RecordingChangedError(f"{self.path}: the file ended early while it was read; open it again.")
        return piece

    def _bytes(self, offset: int, length: int) -> bytes:
        pieces = []
        while length > 0:
            try:
                piece = self._positioned(offset, length)
            except OSError as error:
                raise RecordingError(
                    f"{self.path}: reading failed at byte {offset} ({error}); check the disk or network."
                ) from None
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _positioned(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), length, offset)
        with self._lock:  # Windows has no positioned read
            self._file.seek(offset)
            return self._file.read(length)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._map = None
        self._file.close()


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def _lies_at(descriptor: int, path: Path) -> Path:
    """Return where an open file lies, by the system's own word; RecordingChangedError when that cannot be told any more."""
    try:
        if sys.platform == "darwin":
            import fcntl  # noqa: PLC0415 - not on Windows

            return Path(os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except (OSError, NotImplementedError):  # a system without such a folder: Windows, where links are for administrators
        pass
    try:
        real = path.resolve(strict=True)
        if os.path.samestat(real.stat(), os.fstat(descriptor)):
            return real
    except (OSError, RuntimeError):
        pass
    raise RecordingChangedError(f"{path}: the file was replaced while it was opened; open it again.")
