"""An evaluation on disk: `evaluation.json` for programs and `evaluation.html` for people, each whole or not there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sleepfm.evaluation.evaluation import Evaluation
from sleepfm.evaluation.page import page
from sleepfm.files import atomic_path

JSON_FILE = "evaluation.json"
PAGE_FILE = "evaluation.html"


@dataclass(frozen=True)
class ReportFiles:
    """Where an evaluation was written."""

    json: Path
    page: Path


def write_report(evaluation: Evaluation, folder: Path) -> ReportFiles:
    """Write both files into `folder`, replacing older ones.

    Raises
    ------
    SleepFMError
        When the folder cannot be written.
    """
    files = ReportFiles(folder / JSON_FILE, folder / PAGE_FILE)
    text, html = json.dumps(evaluation.as_dict(), allow_nan=False, ensure_ascii=False, indent=1), page(evaluation)
    with atomic_path(files.json) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    with atomic_path(files.page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return files
