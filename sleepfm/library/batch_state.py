"""What a batch has done so far, as a file beside its results: a batch that was killed goes on from there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from sleepfm.errors import SleepFMError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.tables import spreadsheet_safe

STATE_FILE, FAILURES_FILE = "batch.json", "failures.csv"
_FORMAT = 1


class Outcome(StrEnum):
    """How a recording of a batch ended."""

    DONE = "done"
    PARTLY = "partly"
    """Some steps broke; what the others made is there."""
    FAILED = "failed"


@dataclass(frozen=True)
class Done:
    """One recording of a batch.

    Attributes
    ----------
    file
        Its path.
    size, mtime_ns
        Of the file when it was read: another content under the name is done anew.
    made_with
        Key of the options and models.
    id, sha256
        Of the result's folder, and of the file as the result has it; empty when nothing came out.
    seconds
        By step.
    skipped, failed
        Reason by step; "" is the step of a recording that could not be read at all.
    files
        What came out, below the batch's folder, with slashes.
    """

    file: str
    size: int
    mtime_ns: int
    made_with: str
    outcome: Outcome
    id: str = ""
    sha256: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def failures(self) -> list[dict[str, str]]:
        """Return `file`, `step` and `error` of what went wrong, one line each."""
        return [{"file": self.file, "step": step, "error": " ".join(why.split())} for step, why in self.failed.items()]


@dataclass(frozen=True)
class BatchState:
    """A batch: what was asked for and what is done, by file."""

    options: dict[str, Any] = field(default_factory=dict)
    done: dict[str, Done] = field(default_factory=dict)

    @property
    def failures(self) -> list[dict[str, str]]:
        """Return what went wrong, in the order of the files."""
        return [one for done in self.done.values() for one in done.failures]


def read_state(folder: Path) -> BatchState | None:
    """Return what stands in a folder; None when no batch was begun there.

    Raises
    ------
    SleepFMError
        When the file is not one of ours any more.
    """
    file = folder / STATE_FILE
    try:
        content = json.loads(file.read_text("utf-8"))
        if content["format"] != _FORMAT:
            raise SleepFMError(f"{file}: was written by a newer version; update the software, or choose another folder")
        known = {one.name for one in fields(Done)}
        entries = [Done(**{name: value for name, value in one.items() if name in known}) for one in content["recordings"]]
        done = {one.file: Done(**{**asdict(one), "outcome": Outcome(one.outcome), "files": tuple(one.files)}) for one in entries}
        return BatchState(dict(content["options"]), done)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SleepFMError(f"{file}: cannot be read ({error}); move it away to begin the batch anew") from None


def write_state(folder: Path, state: BatchState) -> None:
    """Write the state and the table of failures, each whole or not at all."""
    content = {"format": _FORMAT, "options": state.options, "recordings": [asdict(one) for one in state.done.values()]}
    with atomic_path(folder / STATE_FILE) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    with atomic_path(folder / FAILURES_FILE) as temporary:
        temporary.write_bytes(failures_csv(state.failures))


def failures_csv(failures: Iterable[Mapping[str, str]]) -> bytes:
    """Return the table of failures, a row each, as CSV (UTF-8): file, step, error."""
    return _csv(("file", "step", "error"), ((one["file"], one["step"], one["error"]) for one in failures))


def results_csv(state: BatchState) -> bytes:
    """Return what became of every recording, as CSV (UTF-8)."""
    return _csv(
        ("file", "outcome", "id", "seconds", "done", "skipped", "failed"),
        (
            (
                one.file,
                one.outcome.value,
                one.id,
                f"{sum(one.seconds.values()):.1f}",
                ", ".join(one.seconds),
                reasons(one.skipped),
                reasons(one.failed),
            )
            for one in state.done.values()
        ),
    )


def reasons(by_step: Mapping[str, str]) -> str:
    """Return steps with their reasons in one line."""
    return "; ".join(f"{step}: {' '.join(why.split())}" if step else " ".join(why.split()) for step, why in by_step.items())


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows([spreadsheet_safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode()
