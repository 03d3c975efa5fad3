"""Looking a study through: what it leaves in the study's folder."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from make_edf import write_edf

from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.progress import silent
from sleepfm.signals.envelopes import displayed_traces, open_envelopes
from sleepfm.vocabulary import Kind


def test_spectrograms_are_of_derivations_where_only_their_leads_are_there(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night.edf", seconds=90, labels=("C4", "M1", "O2-M1", "ECG", "Zzyzx")))
        library.correct_channel(study.id, 4, Kind.EEG)
        prepare(library.home, {"study": study.id}, silent)
        assert set(library.spectrograms(study.id)) == {"0-1", "2", "4"}
        library.correct_channel(study.id, 4, Kind.OTHER)
        prepare(library.home, {"study": study.id}, silent)
        assert set(library.spectrograms(study.id)) == {"0-1", "2"}


def test_envelopes_of_everything_on_the_screen_are_stored_and_progress_only_grows(tmp_path: Path) -> None:
    fractions: list[float] = []

    def note(fraction: float, _message: str) -> None:
        fractions.append(fraction)

    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night.edf", seconds=700))
        prepare(library.home, {"study": study.id}, note)
        with closing(library.recording(study.id)) as recording:
            envelopes = open_envelopes(library.envelope_file(study.id), recording)
            assert envelopes is not None
            with envelopes:
                assert all(envelopes.holds(trace) for trace in displayed_traces(recording))
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1
