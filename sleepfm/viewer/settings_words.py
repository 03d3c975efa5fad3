"""What the settings page says: rows of its tables, where studies lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from sleepfm.administration.readable_folders import ReadableFolders
from sleepfm.administration.retention import OldThing
from sleepfm.errors import RequestError
from sleepfm.text import printable


def things_words(count: int) -> str:
    """Return "1 thing", "12 things"."""
    return f"{count} thing{'' if count == 1 else 's'}"


def old_rows(things: Iterable[OldThing]) -> list[dict[str, object]]:
    """Return the table of what may go."""
    return [
        {
            "What": thing.sort.value.capitalize(),
            "Of": printable(thing.why),
            "Age (days)": round(thing.age_days),
            "Size (MB)": round(thing.bytes / 1e6, 3),
            "File or folder below the home": printable(thing.name),
        }
        for thing in things
    ]


def studies_outside(paths: Sequence[str], folders: ReadableFolders) -> Counter[Path]:
    """Return how many studies lie in each folder that the app may not read."""
    in_folder = Counter(Path(path).parent for path in paths)
    return Counter({folder: count for folder, count in in_folder.items() if not _readable(folder, folders)})


def _readable(folder: Path, folders: ReadableFolders) -> bool:
    try:
        folders.require(folder)
    except RequestError:
        return False
    return True


def folder_state(folder: Path) -> str:
    """Return what is wrong with a folder that was named, or nothing."""
    try:
        if not folder.is_dir():
            return "is not there now; nothing is read from it until it is"
        next(folder.iterdir(), None)
    except OSError as error:
        return f"cannot be read by the app ({error.strerror})"
    if folder == Path(folder.anchor):
        return "is everything that the account may read"
    return ""
