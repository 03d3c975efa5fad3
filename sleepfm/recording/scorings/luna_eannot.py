"""One stage word a line, one line an epoch: Luna's `.eannot`, and the `hyp` that U-Sleep prints; `#` begins a comment.

What the format cannot hold: probabilities, events, the start, and another length of an epoch than 30 s.
"""

from __future__ import annotations

from pathlib import Path

from sleepfm.files import atomic_path
from sleepfm.recording.scorings.contents import Contents, Known
from sleepfm.recording.scorings.epochs import Stretch, row_length_s
from sleepfm.recording.scorings.losses import losses
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords, stage_from_name
from sleepfm.recording.scorings.tables import read_lines
from sleepfm.vocabulary import STAGE_SHORT, Stage


def is_luna_eannot(head: str) -> bool:
    """Tell whether the first lines are single words, most of them sleep stages (the last line may be cut and does not count)."""
    lines = [line.strip() for line in head.splitlines() if line.strip() and not line.startswith("#")]
    words = lines[:-1] or lines
    known = sum(stage_from_name(word) is not None for word in words)
    return bool(words) and 2 * known > len(words) and all(len(word) <= 24 and not set(word) & set(",\t;") for word in words)


def read_luna_eannot(path: Path, known: Known) -> Contents:
    """Read the stages; a word that is no stage becomes Unknown and is said with its line."""
    said: list[str] = []
    words = StageWords()
    stages = []
    for number, line in enumerate(read_lines(path).splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            stages.append((words.stage(line, f"line {number}"), f"line {number}"))
    epoch_s = row_length_s(len(stages), known.duration_s, said)
    stretches = tuple(Stretch(k * epoch_s, (k + 1) * epoch_s, stage, where) for k, (stage, where) in enumerate(stages))
    return Contents(stretches, warnings=(*words.said(), *said))


def write_luna_eannot(scoring: Scoring, path: Path, *, events: tuple[Event, ...]) -> list[str]:
    """Write one word an epoch, whole or not at all; return what it could not hold."""
    text = "".join(f"{STAGE_SHORT[Stage(int(value))]}\n" for value in scoring.stages)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    return losses(scoring, events, probabilities=False, with_events=False)
