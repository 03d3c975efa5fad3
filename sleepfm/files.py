"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sleepfm.errors import SleepFMError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target` and rename it into place when the block ends well.

    Whatever goes wrong inside (an error, a cancelled job, a full disk), no half-written `target` is left and an older one
    stays as it was.

    Raises
    ------
    SleepFMError
        When the disk is full or the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise SleepFMError(f"{target}: cannot be written ({error.strerror}); choose another folder or free some space") from error
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner reads; a result is as readable as anything else the user writes
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except OSError as error:
        raise SleepFMError(f"{target}: writing failed ({error.strerror or error}); free some space and try again") from error
    finally:
        temporary.unlink(missing_ok=True)
