import itertools
from datetime import datetime

import edfio
import hypothesis.strategies as st
import mne
import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings

from sleepfm.errors import ScoringError
from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.edf_annotations import stages_from_annotations
from sleepfm.recording.scorings.formats import read_scoring, write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import Stage

MNE_TEXTS = {"W": 0, "1": 1, "2": 2, "3": 3, "4": 3, "R": 4, "?": -1, "N1": 1, "N2": 2, "N3": 3}


def by_mne(path) -> list[int]:
    """Expand MNE's reading of the annotations to epochs (files whose bouts are whole epochs from 0 on)."""
    stages: list[int] = []
    for note in mne.read_annotations(path):
        if note["description"].startswith("Sleep stage ") or note["description"] == "Movement time":
            assert note["onset"] == 30 * len(stages)
            stages += [MNE_TEXTS.get(note["description"].removeprefix("Sleep stage "), -1)] * round(note["duration"] / 30)
    return stages


@pytest.mark.parametrize(
    "name", ["psg/SC4001EC-Hypnogram.edf", "scorings/SC4011EH-Hypnogram.edf", "scorings/nihon_kohden_nap_1.edf"]
)
def test_real_hypnograms_read_as_mne_reads_them(shared, name):
    path = shared / "data" / name
    expected = by_mne(path)
    assert len(expected) > 100
    assert read_scoring(path).stages.tolist() == expected


def test_sleep_edf_counts(shared):
    scoring = read_scoring(shared / "data/psg/SC4001EC-Hypnogram.edf")
    assert len(scoring.stages) == 2880  # a day, although the recording ends earlier
    assert {s: int((scoring.stages == s).sum()) for s in Stage} == {-1: 230, 0: 1997, 1: 58, 2: 250, 3: 220, 4: 125}
    clipped = read_scoring(shared / "data/psg/SC4001EC-Hypnogram.edf", duration_s=79500)
    assert len(clipped.stages) == 2650
    assert (clipped.stages != Stage.UNKNOWN).all()
    assert any("6900 s past the end" in warning for warning in clipped.warnings)


def test_epochs_of_an_aasm_file_with_lights_and_channel_links(shared):
    path = shared / "data/edge/test_edfann.edf"
    notes = [a for a in edfio.read_edf(path).annotations if a.text.startswith("Sleep stage")]
    scoring = read_scoring(path)
    for note in notes:
        assert scoring.stages[round(note.onset / 30)] == MNE_TEXTS[note.text.removeprefix("Sleep stage ")]
    assert (scoring.stages != Stage.UNKNOWN).sum() == len(notes) == 854


def test_a_recording_without_stages_is_refused(shared):
    with pytest.raises(ScoringError, match=r"short_psg.edf.*sleep stage"):
        read_scoring(shared / "data/psg/short_psg.edf")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(list(Stage)).map(int), min_size=1, max_size=120),
    st.one_of(st.none(), st.datetimes(datetime(1985, 1, 1), datetime(2084, 12, 31))),
)
def test_what_is_written_is_read_back_by_us_edfio_mne_and_pyedflib(tmp_path_factory, stages, start):
    path = tmp_path_factory.mktemp("edf") / "hypnogram.edf"
    write_scoring(Scoring(np.array(stages, dtype=np.int8)), path, to="edf", start=start)
    assert read_scoring(path).stages.tolist() == stages

    texts = {
        -1: "Sleep stage ?",
        0: "Sleep stage W",
        1: "Sleep stage N1",
        2: "Sleep stage N2",
        3: "Sleep stage N3",
        4: "Sleep stage R",
    }
    bouts = [(texts[s], 30.0 * len(list(run))) for s, run in itertools.groupby(stages)]
    edf = edfio.read_edf(path)
    assert [(a.text, a.duration) for a in edf.annotations] == bouts
    assert (edf.patient.code, edf.patient.name, edf.patient.sex) == ("X", "X", "X")
    assert edf.local_patient_identification.strip() == "X X X X"
    if start is not None:
        assert edf.startdate == start.date()
        assert edf.starttime == start.time()
    notes = mne.read_annotations(path)
    assert [(d, t) for d, t in zip(notes.description, notes.duration, strict=True)] == bouts
    with pyedflib.EdfReader(str(path)) as reader:
        onsets, durations, read_texts = reader.readAnnotations()
        assert list(zip(read_texts, durations, strict=True)) == bouts
        np.testing.assert_allclose(onsets, np.cumsum([0.0] + [t for _, t in bouts[:-1]]), atol=1e-3)


def test_a_year_that_edf_cannot_hold_and_an_empty_scoring_are_refused(tmp_path):
    scoring = Scoring(np.zeros(2, dtype=np.int8))
    with pytest.raises(ScoringError, match="1985"):
        write_scoring(scoring, tmp_path / "h.edf", to="edf", start=datetime(1975, 5, 5))
    with pytest.raises(ScoringError, match="no epoch"):
        write_scoring(Scoring(np.zeros(0, dtype=np.int8)), tmp_path / "h.edf", to="edf")
    assert list(tmp_path.iterdir()) == []


def test_rk_stage_4_movement_time_and_strange_stages():
    texts = ["Sleep stage 4", "Movement time", "SLEEP STAGE n2", "Sleep stage X9", "sleep stage R "]
    notes = tuple(Annotation(30.0 * k, 30.0, text) for k, text in enumerate(texts))
    scoring = stages_from_annotations((*notes, Annotation(10, None, "Lights off"), Annotation(20, 3.0, "Sleep stages seen")))
    assert scoring.stages.tolist() == [3, -1, 2, -1, 4]
    assert any("Movement time" in warning for warning in scoring.warnings)
    assert any("X9" in warning for warning in scoring.warnings)


def test_stages_without_duration_last_until_the_next():
    notes = (Annotation(0, None, "Sleep stage W"), Annotation(90, None, "Sleep stage N1"), Annotation(150, 0.0, "Sleep stage N2"))
    assert stages_from_annotations(notes).stages.tolist() == [0, 0, 0, 1, 1, 2]


def test_overlapping_stages_name_their_places():
    notes = (Annotation(0, 60, "Sleep stage W"), Annotation(30, 60, "Sleep stage R"))
    with pytest.raises(ScoringError, match=r"annotation 2 at 30 s.*annotation 1 at 0 s"):
        stages_from_annotations(notes)


def test_a_scoring_that_is_not_on_the_epoch_grid_lands_by_majority():
    notes = (Annotation(10, 60, "Sleep stage W"), Annotation(70, 60, "Sleep stage N2"))
    # 20 s W; 30 s W; 10 s W and 20 s N2; 30 s N2; 10 s N2 of the last: not whole, left out
    assert stages_from_annotations(notes).stages.tolist() == [0, 0, 2, 2]
