"""What the batch page shows of a batch: rows of words, and the files of one recording."""

from __future__ import annotations

from pathlib import Path

from sleepfm.library.batch_state import BatchState, Done, Outcome, reasons
from sleepfm.text import printable
from sleepfm.viewer.words import duration_words

OUTCOME_WORDS: dict[Outcome, str] = {Outcome.DONE: "✓ done", Outcome.PARTLY: "◐ partly", Outcome.FAILED: "✗ failed"}
STEP_WORDS: dict[str, str] = {
    "convert": "Signals (HDF5)",
    "embed": "Embeddings",
    "stage": "Staging",
    "events": "Events",
    "statistics": "Statistics",
    "risk": "Risk",
    "report": "Report",
}
_TYPES = {".html": "text/html", ".pdf": "application/pdf", ".csv": "text/csv", ".json": "application/json"}
_LARGEST = 64 << 20


def result_rows(state: BatchState) -> list[dict[str, str]]:
    """Return a row a recording: name, outcome, steps, what was skipped or went wrong, how long it took."""
    return [
        {
            "Recording": printable(Path(one.file).name),
            "Outcome": OUTCOME_WORDS[one.outcome],
            "Done": ", ".join(STEP_WORDS.get(step, step) for step in one.seconds) or "–",
            "Took": duration_words(sum(one.seconds.values())) if one.seconds else "–",
            "Went wrong": printable(reasons(one.failed).replace(f"{one.file}: ", "")) or "–",
            "Skipped": printable(reasons(one.skipped)) or "–",
            "Folder": printable(str(Path(one.file).parent)),
        }
        for one in state.done.values()
    ]


def counts_words(state: BatchState, total: int | None = None) -> str:
    """Return "12 of 14 recordings: 10 done, 1 partly, 1 failed"."""
    outcomes = [one.outcome for one in state.done.values()]
    named = ", ".join(f"{outcomes.count(one)} {one.value}" for one in Outcome if one in outcomes)
    of = f"{len(outcomes)} of {total}" if total is not None and total != len(outcomes) else str(len(outcomes))
    return f"{of} recording{'s' if len(outcomes) != 1 else ''}{': ' if named else ''}{named}"


def offered_files(folder: Path, one: Done) -> list[tuple[str, Path, str]]:
    """Return name, path and type of a recording's results that can be downloaded, what a person reads first; signals are not."""
    files = [(Path(name).name, folder / name) for name in one.files]
    known = [(name, path, _TYPES[path.suffix]) for name, path in files if path.suffix in _TYPES and path.is_file()]
    order = list(_TYPES)
    return sorted(
        (file for file in known if file[1].stat().st_size <= _LARGEST), key=lambda file: (order.index(file[1].suffix), file[0])
    )
