"""What leaves the app is searched for the words of its recording's header first."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sleepfm.administration.readable_folders import require_readable_here
from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from sleepfm.recording.identity import Identity, identity_of, left_words, traces_of


def without_identity(home: Home, recording: Path, content: bytes, name: str, *, scorer: str = "") -> bytes:
    """Return the content of a file that is about to be taken out, when nothing of the header's identity is in it.

    The date of the night may stand in it: stages and events are laid over the recording by it.

    Parameters
    ----------
    recording
        The file that it was made from; where that is gone or may not be read, there is no header to search for.
    name
        Of the file, for the message.
    scorer
        Who scored it, which may be said: perhaps the technician whom the header names too.

    Raises
    ------
    SleepFMError
        When it names somebody.
    """
    identity = _identity(home, recording)
    identity = identity.without_words(identity.traces_in(scorer))
    if not identity:
        return content
    with tempfile.TemporaryDirectory(prefix="sleepfm-export-") as folder:
        file = Path(folder) / "content"
        file.write_bytes(content)
        found = traces_of(file, identity)
    if found:
        raise SleepFMError(
            f"{name}: {left_words(found)}; make a copy of the recording by `sleepfm deidentify` and export from that"
        )
    return content


def _identity(home: Home, recording: Path) -> Identity:
    try:
        return identity_of(require_readable_here(home, recording), with_the_night=False)
    except SleepFMError:
        return Identity()
