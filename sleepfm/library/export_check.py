"""What leaves the app is searched for the words of its recording's header first."""

from __future__ import annotations

import json
import re
import tempfile
from html import escape
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
        Who scored it, whose whole name may be said: perhaps the technician whom the header names too. A surname that they share
        with the patient may not stand anywhere else.

    Raises
    ------
    SleepFMError
        When it names somebody.
    """
    identity = _identity(home, recording)
    if not identity:
        return content
    with tempfile.TemporaryDirectory(prefix="sleepfm-export-") as folder:
        file = Path(folder) / "content"
        file.write_bytes(_blanked(content, scorer))
        found = traces_of(file, identity)
    if found:
        raise SleepFMError(
            f"{name}: {left_words(found)}; make a copy of the recording by `sleepfm deidentify` and export from that"
        )
    return content


def _blanked(content: bytes, name: str) -> bytes:
    """Return a file's content with a name, wherever it stands as a whole, blank: as long as it was, for some formats count."""
    if not name:
        return content
    forms = dict.fromkeys(
        form for whole in (name, "_".join(name.split())) for form in (whole, escape(whole), json.dumps(whole)[1:-1])
    )
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, forms))})(?!\w)")
    text = content.decode("utf-8", "surrogateescape")
    blanked = pattern.sub(lambda found: " " * len(found[0].encode("utf-8", "surrogateescape")), text)
    return blanked.encode("utf-8", "surrogateescape")


def _identity(home: Home, recording: Path) -> Identity:
    try:
        return identity_of(require_readable_here(home, recording), with_the_night=False)
    except SleepFMError:
        return Identity()
