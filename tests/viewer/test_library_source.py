"""What the library's scorings are on the screen: who made them, from what, and whether the model only knew simulated nights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.library.library import Library
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.viewer.library_source import LibrarySource
from sleepfm.viewer.overview import overview
from sleepfm.viewer.signed_in import local_user


@pytest.mark.parametrize(
    ("provenance", "simulated", "signals"),
    [
        ({"trained_on": "simulated", "signals": {"BAS": ["C4-M1", "E1-M2"], "EKG": ["ECG"]}}, True, ("C4-M1", "E1-M2", "ECG")),
        ({"trained_on": "real PSG (published with YASA)", "signals": ["C4-M1"]}, False, ("C4-M1",)),
        ({"trained_on": "unknown"}, False, ()),
        ({}, False, ()),
    ],
)
def test_a_scoring_says_what_its_model_was_trained_on_and_what_it_saw(
    tmp_path: Path, provenance: dict[str, Any], simulated: bool, signals: tuple[str, ...]
) -> None:
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night.edf", seconds=60))
        library.store_hash(study.id, "0" * 64)
        about = {"label": "Engine", "note": "1.0", "source_sha256": "0" * 64} | provenance
        number = library.store_scoring(study.id, Scoring(np.array([0, 2], dtype=np.int8)), engine="e", model="", provenance=about)
        source = LibrarySource(library.home)
    (named,) = source.scorings(study.id)
    assert (named.simulated, named.signals) == (simulated, signals)
    warning = overview(source, study.id, [str(number)], local_user())["scorings"][0]["warning"]
    words = (
        "Engine was trained on simulated signals: for trying the software only. What it says of a real recording means nothing."
    )
    assert warning == (words if simulated else "")
