from __future__ import annotations

from pathlib import Path

from make_edf import write_edf

from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import assess
from sleepfm.viewer.channel_table import channel_rows, corrected_kinds
from sleepfm.vocabulary import Kind


def test_the_table_says_what_a_channel_was_taken_for_and_why(tmp_path: Path) -> None:
    with open_recording(write_edf(tmp_path / "a.edf", labels=("C4-M1", "Airflow", "<qq>?"))) as recording:
        rows = channel_rows(recording, None)
        judged = channel_rows(recording, assess(recording))
    assert rows["Label"].tolist() == ["C4-M1", "Airflow", "<qq>?"]
    assert rows["Used as"].tolist() == ["BAS", "RESP", "not used"]
    assert all(rows["Why"].str.len() > 5)
    assert set(rows["Signal"]) == {""}
    assert judged["Signal"][0]


def test_only_what_was_changed_is_corrected(tmp_path: Path) -> None:
    with open_recording(write_edf(tmp_path / "a.edf", labels=("C4-M1", "Airflow", "X"))) as recording:
        before = channel_rows(recording, None)
    after = before.copy()
    assert corrected_kinds(before, after) == {}
    after.loc[2, "Kind"] = Kind.LEG_EMG.value
    assert corrected_kinds(before, after) == {2: Kind.LEG_EMG}
