"""Formats that are read only, and the odd forms of the others; small invented files."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import edfio
import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.recording.scorings.codes import CodesNeededError, parse_codes
from sleepfm.recording.scorings.formats import READABLE, detect_format, read_events, read_file, read_scoring, unusual
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.vocabulary import Stage


def written(folder: Path, text: str, name: str = "x", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def stages_of(path: Path, **known: object) -> list[int]:
    return read_scoring(path, **known).stages.tolist()  # type: ignore[arg-type]


PROFUSION = """<?xml version="1.0"?>
<CMPStudyConfig><EpochLength>{epoch}</EpochLength><ScoredEvents>
<ScoredEvent><LowestSpO2>88</LowestSpO2><Desaturation>4.5</Desaturation><Name>SpO2 desaturation</Name><Start>40.4</Start>
<Duration>13.5</Duration><Input>SaO2</Input></ScoredEvent>
<ScoredEvent><Name>Obstructive Apnea</Name><Start>31</Start><Duration>12</Duration><Input>AIRFLOW</Input></ScoredEvent>
<ScoredEvent><Name>Arousal (ARO RES)</Name><Start>50</Start><Duration>5</Duration></ScoredEvent>
<ScoredEvent><Name>PLM (Left)</Name><Start>51</Start><Duration>1</Duration></ScoredEvent>
<ScoredEvent><Name>Unsure</Name><Start>52</Start><Duration>1</Duration></ScoredEvent>
</ScoredEvents><SleepStages>{stages}</SleepStages></CMPStudyConfig>
"""


def profusion(codes: list[object], epoch: object = 30) -> str:
    return PROFUSION.format(epoch=epoch, stages="\n".join(f"<SleepStage>{code}</SleepStage>" for code in codes))


class TestProfusion:
    def test_stages_and_events(self, tmp_path: Path) -> None:
        read = read_file(written(tmp_path, profusion([0, 1, 2, 3, 4, 5, 9, 9, 7])))
        assert read.format == "profusion"
        assert read.scoring is not None
        assert read.scoring.stages.tolist() == [0, 1, 2, 3, 3, 4, -1, -1, -1]
        assert [event.name for event in read.events] == ["Desaturation", "Obstructive apnea", "Arousal", "PLM"]
        assert read.events[0] == Event(40.4, 53.9, "Desaturation", "SaO2", "profusion", {"NadirSpO2": 88.0, "Desaturation": 4.5})
        said = " ".join(read.warnings)
        assert '2 epoch(s) of code 9 ("active", not wake) became Unknown (first: line 15, epoch 7)' in said
        assert "1 × '7' is no sleep stage and became Unknown (first: line 17, epoch 9)" in said
        assert "1 × 'Unsure'" in said

    def test_epochs_of_20_s_land_on_30_s(self, tmp_path: Path) -> None:
        read = read_scoring(written(tmp_path, profusion([2, 2, 0, 0, 0, 5], epoch=20)))
        assert read.stages.tolist() == [2, 0, 0, 4]  # N2 to 40 s, wake to 100 s, REM to 120 s
        assert "2 of 4 epochs of 30 s hold more than one stage" in " ".join(read.warnings)

    @pytest.mark.parametrize("epoch", ["", "abc", "0", "nan", "1e9"])
    def test_without_an_epoch_length_nothing_is_guessed(self, tmp_path: Path, epoch: str) -> None:
        with pytest.raises(ScoringError, match="EpochLength"):
            read_file(written(tmp_path, profusion([0], epoch=epoch)))

    def test_a_document_type_is_refused(self, tmp_path: Path) -> None:
        text = profusion([0]).replace("<CMPStudyConfig>", '<!DOCTYPE x [<!ENTITY e "x">]><CMPStudyConfig>', 1)
        with pytest.raises(ScoringError, match="document type"):
            read_file(written(tmp_path, text))


REMLOGIC = (
    "RemLogic Event Export\r\nPatient:\tX\r\nRecording Date:\t05/11/2006\r\n\r\n"
    "Sleep Stage\tPosition\tTime [hh:mm:ss]\tEvent\tDuration[s]\tLocation\r\n"
)


def remlogic_rows(rows: Sequence[tuple[str, str, float]]) -> str:
    return "".join(f"W\tUnknown\t{clock}\t{event}\t{length:g}\tROC-LOC\r\n" for clock, event, length in rows)


class TestRemLogic:
    ROWS = (
        ("23:59:00", "SLEEP-S0", 30), ("23:59:30", "SLEEP-S1", 30), ("23:59:45", "AROUSAL", 8), ("00:00:00", "SLEEP-S4", 30),
        ("00:00:10", "MCAP-A1", 4), ("00:00:30", "SLEEP-REM", 30), ("00:00:40", "APNEA-CENTRAL", 12),
        ("00:01:00", "SLEEP-MT", 30), ("00:01:30", "SLEEP-UNSCORED", 30), ("00:02:00", "SLEEP-S2", 30),
    )  # fmt: skip

    def test_the_clock_starts_anew_at_midnight(self, tmp_path: Path) -> None:
        path = written(tmp_path, REMLOGIC + remlogic_rows(self.ROWS), encoding="latin-1")
        read = read_file(path)
        assert read.format == "remlogic"
        assert read.scoring is not None
        assert read.scoring.stages.tolist() == [0, 1, 3, 4, -1, -1, 2]
        assert read.scoring.start == datetime(2006, 11, 5, 23, 59)
        assert [(one.name, one.start_s, one.stop_s, one.channel) for one in read.events] == [
            ("Arousal", 45, 53, "ROC-LOC"), ("Central apnea", 100, 112, "ROC-LOC"),
        ]  # fmt: skip
        said = " ".join(read.warnings)
        assert "1 × 'MCAP A1'" in said
        assert "'Movement time' became Unknown (first: line 13)" in said
        assert "times count from its first, 2006-11-05 23:59:00" in said

    def test_it_is_laid_over_the_recording_by_the_clock(self, tmp_path: Path) -> None:
        path = written(tmp_path, REMLOGIC + remlogic_rows(self.ROWS))
        read = read_file(path, start=datetime(2006, 11, 5, 23, 58), duration_s=330)
        assert read.scoring is not None
        assert read.scoring.stages.tolist() == [-1, -1, 0, 1, 3, 4, -1, -1, 2, -1, -1]
        assert [event.start_s for event in read.events] == [105, 160]
        assert "60 s after the recording (2006-11-05 23:58:00)" in " ".join(read.warnings)

    def test_a_first_row_after_midnight_is_of_the_day_after_the_headers(self, tmp_path: Path) -> None:
        rows = remlogic_rows([("00:00:30", "SLEEP-S2", 30), ("00:01:00", "SLEEP-REM", 30)])
        path = written(tmp_path, REMLOGIC + rows)
        read = read_file(path, start=datetime(2006, 11, 5, 23, 59, 30), duration_s=120)
        assert read.scoring is not None
        assert read.scoring.stages.tolist() == [-1, -1, 2, 4]
        said = " ".join(read.warnings)
        assert "header gives 2006-11-05, the day of the evening" in said
        assert "begins at 2006-11-06 00:00:30, 60 s after the recording (2006-11-05 23:59:30)" in said
        alike = read_file(path, start=datetime(2006, 11, 6, 0, 0, 30), duration_s=60)  # the recording, too, began after midnight
        assert alike.scoring is not None
        assert alike.scoring.stages.tolist() == [2, 4]
        assert "header gives 2006-11-05" in " ".join(alike.warnings)
        for start in (datetime(2006, 11, 7, 0, 0, 30), datetime(2006, 11, 4, 0, 0, 30), datetime(2006, 11, 5, 12, 0)):
            with pytest.raises(ScoringError, match="another night"):
                read_file(path, start=start, duration_s=3600)
        rows = "Recording Date:\t05/11/2006\nx\tHeure [hh:mm:ss]\tÉvénement\tDurée[s]\nx\t2006-11-05T00:00:30\tSLEEP-S2\t30\n"
        with pytest.raises(ScoringError, match="another night"):  # a date of the row's own is believed
            read_file(written(tmp_path, rows), start=datetime(2006, 11, 5, 23, 59, 30), duration_s=120)

    def test_dates_with_times_and_a_french_header(self, tmp_path: Path) -> None:
        rows = "Sommeil\tHeure [hh:mm:ss.xxx]\tÉvénement\tDurée[s]\n"
        rows += "x\t2006-11-05T23:59:30.000000\tSLEEP-S2\t30\nx\t2006-11-06T00:00:00.000000\tSLEEP-N3\t30\n"
        for encoding in ("latin-1", "utf-16", "utf-8-sig"):
            scoring = read_scoring(written(tmp_path, rows, encoding=encoding))
            assert scoring.stages.tolist() == [2, 3]
            assert scoring.start == datetime(2006, 11, 5, 23, 59, 30)

    @pytest.mark.parametrize(("row", "said"), [
        ("W\tx\t25:00:00\tSLEEP-S0\t30\tx", "line 6: '25:00:00' is not a time"),
        ("W\tx\t23:00:00\tSLEEP-S0\tlong\tx", "line 6: 'long' is not a length"),
        ("W\tx", "line 6: has 2 column"),
    ])  # fmt: skip
    def test_a_bad_row_is_named(self, tmp_path: Path, row: str, said: str) -> None:
        with pytest.raises(ScoringError, match=said):
            read_file(written(tmp_path, REMLOGIC + row + "\r\n"))


class TestNoxturnal:
    def test_english_with_am_and_pm(self, tmp_path: Path) -> None:
        rows = "Start Time,End Time,Event,Duration\n3/4/2016 11:59:30 PM,3/5/2016 12:00:00 AM,Wake,30\n"
        rows += "3/5/2016 12:00:00 AM,3/5/2016 12:00:30 AM,N2,30\n3/5/2016 12:00:05 AM,3/5/2016 12:00:25 AM,Hypopnea,20\n"
        read = read_file(written(tmp_path, rows))
        assert (read.format, stages_of(tmp_path / "x")) == ("noxturnal", [0, 2])
        assert read.scoring is not None
        assert read.scoring.start == datetime(2016, 3, 4, 23, 59, 30)
        assert read.events == (Event(35.0, 55.0, "Hypopnea", "", "noxturnal"),)

    @pytest.mark.parametrize(("header", "wake", "delimiter"), [
        ("Startzeit;Endzeit;Ereignis;Dauer", "Wach", ";"), ("Starttid\tSluttid\tHändelse\tVaraktighet", "Vaken", "\t"),
        ("Hora de inicio,Hora final,Evento,Duración", "Vigilia", ","), ("Upphaf,Endir,Atburður,Lengd", "Vaka", ","),
    ])  # fmt: skip
    def test_other_languages(self, tmp_path: Path, header: str, wake: str, delimiter: str) -> None:
        rows = [
            ["04.03.2016 23:59:30", "05.03.2016 00:00:00", wake, "30"],
            ["05.03.2016 00:00:00", "05.03.2016 00:00:30", "REM", "30"],
        ]
        text = "\n".join([header, delimiter.join(["[]", "[]", "[]", "[s]"]), *(delimiter.join(row) for row in rows)])
        scoring = read_scoring(written(tmp_path, text, encoding="utf-16"))
        assert scoring.stages.tolist() == [0, 4]
        assert scoring.start == datetime(2016, 3, 4, 23, 59, 30)  # read month first, the night would last a month

    def test_a_date_that_could_be_two_is_judged_by_the_recordings(self, tmp_path: Path) -> None:
        rows = "a,b,c\n03/04/2016 01:00:00,03/04/2016 01:00:30,N2\n03/04/2016 01:00:30,03/04/2016 01:01:00,N3\n"
        path = written(tmp_path, rows)
        for start in (datetime(2016, 4, 3, 1), datetime(2016, 3, 4, 1)):
            assert stages_of(path, start=start, duration_s=60) == [2, 3]
        assert any("read as day, month, year" in said for said in read_scoring(path).warnings)

    def test_a_bad_row_is_named(self, tmp_path: Path) -> None:
        good = "a,b,c\n13/04/2016 01:00:00,13/04/2016 01:00:30,N2\n"
        for row, said in [("31/02/2016 01:00:00,13/04/2016 01:00:30,N2", "line 3: '31/02/2016"), ("x,y,N2", "line 3: 'x' is not"),
                          ("13/04/2016 01:00:30,13/04/2016 01:00:00,N2", "line 3: ends 30 s before")]:  # fmt: skip
            with pytest.raises(ScoringError, match=said):
                read_file(written(tmp_path, good + row + "\n"))


class TestWfdb:
    def test_polysomnographic_database(self, tmp_path: Path) -> None:
        """slp records: an epoch's stage with indicators, first at sample 1."""
        notes = ["W", "W A", "1", "2 HA", "2 X", "4 CAA L", "R", "MT", "3"]
        samples = [1, *(250 * 30 * k for k in range(1, 8)), 250 * 30 * 9]
        wfdb.wrann("slp01", "st", np.array(samples), symbol=['"'] * len(notes), aux_note=notes, fs=250, write_dir=str(tmp_path))
        read = read_file(tmp_path / "slp01.st", duration_s=330)
        assert read.format == "wfdb"
        assert read.scoring is not None
        # an epoch is one epoch: the hole before the last is nobody's stage
        assert read.scoring.stages.tolist() == [0, 0, 1, 2, 2, 3, 4, -1, -1, 3, -1]
        assert Counter(event.name for event in read.events) == {
            "Arousal": 4, "Hypopnea": 1, "Obstructive apnea": 1, "Central apnea": 1, "Leg movement": 1,
        }  # fmt: skip
        assert [(one.start_s, one.stop_s) for one in read.events if one.name == "Hypopnea"] == [(90, 120)]
        assert any("5 event indicator(s) stand for a whole epoch" in said for said in read.warnings)

    def test_apnea_ecg_tells_minutes_and_no_stages(self, tmp_path: Path) -> None:
        symbols = list("NNAAANAN")
        wfdb.wrann("a01", "apn", np.arange(8) * 6000, symbol=symbols, fs=100, write_dir=str(tmp_path))
        read = read_file(tmp_path / "a01.apn")
        assert read.scoring is None
        assert [(event.start_s, event.stop_s) for event in read.events] == [(120, 300), (360, 420)]
        assert any("4 of 8 minutes" in said and "count no index" in said for said in read.warnings)
        with pytest.raises(ScoringError, match="no annotation is a sleep stage"):
            read_scoring(tmp_path / "a01.apn")

    def test_beats_are_no_apneas(self, tmp_path: Path) -> None:
        wfdb.wrann("b", "qrs", np.cumsum([80, 90, 85, 600]), symbol=list("NNAN"), fs=100, write_dir=str(tmp_path))
        assert read_events(tmp_path / "b.qrs") == ()


class TestEdf:
    def written(self, folder: Path, notes: list[tuple[float, float | None, str]]) -> Path:
        path = folder / "a.edf"
        edfio.Edf([], annotations=[edfio.EdfAnnotation(*note) for note in notes]).write(path)
        return path

    def test_xml_annotations_are_read_by_name_and_refused_when_hostile(self, tmp_path: Path) -> None:
        bomb = '<!DOCTYPE x [<!ENTITY e "x">]><Event name="Sleep stage R"/>'
        path = self.written(tmp_path, [
            (0, 30, '<EDF_XMLnote><Event channel="C3" groupName="Stage" name="Sleep stage 2"/></EDF_XMLnote>'),
            (30, 30, bomb), (30, 30, "<Event"), (35, 3, '<Event groupName="MicroArousal" channel="EEG C3-CLE"/>'),
            (60, 30, "Sleep stage W"),
        ])  # fmt: skip
        read = read_file(path)
        assert read.scoring is not None
        assert read.scoring.stages.tolist() == [2, -1, 0]
        assert read.events == (Event(35, 38, "Arousal", "EEG C3-CLE", "recording"),)
        assert any("2 annotation(s) hold XML that names nothing or cannot be read" in said for said in read.warnings)

    def test_the_channel_behind_two_at_signs(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, [(0, 60, "Sleep stage N2"), (5, 1.5, "Limb movement@@EMG RAT"), (9, None, "Lights off")])
        assert [(event.name, event.channel) for event in read_events(path)] == [("Leg movement", "EMG RAT"), ("Lights off", "")]


class TestLuna:
    def test_all_ways_to_say_when(self, tmp_path: Path) -> None:
        rows = [
            "# N2 | stage", "class\tinstance\tchannel\tstart\tstop\tmeta", "W\t.\t.\te:1\t.\t.",
            "N1\t.\t.\t30\t+30\tpW=0.1;pN1=0.6;pN2=0.3;pN3=0;pR=0", "N2\t.\t.\t0+00:01:00\t0+00:01:30\t.",
            "R\t.\t.\t22:31:30\t22:32:00\t.", "L\t.\t.\t120\t150\t.", "hypopnea\t.\tFlow\t22:31:04.5\t+18\tdesat=4",
            "arousal\t.\tC4_M1\t100\t...\t.", "lights_on\t.\t.\t140\t.\t.", "misc\t.\t.\t1\t2\t.",
        ]  # fmt: skip
        path = written(tmp_path, "\n".join(rows), "a.annot")
        read = read_file(path, start=datetime(2020, 1, 1, 22, 30))
        assert (read.format, read.scoring is not None) == ("annot", True)
        assert read.scoring is not None
        assert read.scoring.stages.tolist() == [0, 1, 2, 4, -1]
        assert read.scoring.probabilities is not None
        np.testing.assert_allclose(read.scoring.probabilities[1], [0.1, 0.6, 0.3, 0, 0], rtol=1e-6)
        assert read.events == (
            Event(64.5, 82.5, "Hypopnea", "Flow", "annot", {"desat": 4.0}), Event(100, 140, "Arousal", "C4_M1", "annot"),
            Event(140, 140, "Lights on", "", "annot"),
        )  # fmt: skip
        with pytest.raises(ScoringError, match="line 6: clock times and seconds stand side by side"):
            read_file(path)

    def test_clock_times_alone_count_from_the_first(self, tmp_path: Path) -> None:
        path = written(tmp_path, "N1 23:59:30 00:00:00\nN2 00:00:00 00:00:30\n")
        assert detect_format(path) == "annot"
        assert stages_of(path) == [1, 2]
        assert stages_of(path, start=datetime(2020, 1, 1, 23, 59), duration_s=120) == [-1, 1, 2, -1]
        assert "times count from its first, 23:59:30" in " ".join(read_scoring(path).warnings)

    @pytest.mark.parametrize(("row", "said"), [
        ("N2\t.\t.\tnever\t60\t.", "line 2: start 'never'"), ("N2\t.\t.\t60\t+x\t.", "line 2: stop '\\+x'"),
        ("N2\t60", "line 2: has 2 column"), ("N2\t.\t.\t30\t60\tpW=2;pN1=0;pN2=0;pN3=0;pR=0", "line 2: the probabilities"),
        ("hypopnea\t.\t.\t30\t20\t.", "line 2: Hypopnea from 30 to 20 s"),
    ])  # fmt: skip
    def test_a_bad_row_is_named(self, tmp_path: Path, row: str, said: str) -> None:
        with pytest.raises(ScoringError, match=said):
            read_file(written(tmp_path, f"W\t.\t.\t0\t30\t.\n{row}\n"))

    def test_words_a_line(self, tmp_path: Path) -> None:
        path = written(tmp_path, "W\nN1\nS4\nREM\n?\nMT\nspindles\nwake\n")
        scoring = read_scoring(path)
        assert detect_format(path) == "eannot"
        assert scoring.stages.tolist() == [0, 1, 3, 4, -1, -1, -1, 0]
        said = " ".join(scoring.warnings)
        for words in ("'spindles' is no sleep stage and became Unknown (first: line 7)", "'MT' became Unknown", "'S4' became N3"):
            assert words in said

    def test_epochs_of_20_s_are_seen_from_the_recording(self, tmp_path: Path) -> None:
        path = written(tmp_path, "W\n" * 30 + "N2\n" * 30)
        assert stages_of(path, duration_s=1200) == [0] * 20 + [2] * 20
        assert "epochs of 20 s" in read_scoring(path, duration_s=1200).warnings[0]
        assert stages_of(path, duration_s=1810) == [0] * 30 + [2] * 30


class TestIntegers:
    def test_a_bare_list_is_not_guessed(self, tmp_path: Path) -> None:
        path = written(tmp_path, "0\n1\n2\n5\n5\n9\n")
        with pytest.raises(CodesNeededError, match=r"found 0 1×, 1 1×, 2 1×, 5 2×, 9 1×.*--codes") as caught:
            read_scoring(path)
        assert caught.value.counts == {0: 1, 1: 1, 2: 1, 5: 2, 9: 1}
        assert caught.value.exit_code == 2
        assert stages_of(path, codes=parse_codes("0=W,1=N1,2=N2,5=R,9=?")) == [0, 1, 2, 4, 4, -1]
        with pytest.raises(CodesNeededError, match="given no meaning for 5, 9"):
            read_scoring(path, codes=parse_codes("0=W,1=N1,2=N2"))
        with pytest.raises(CodesNeededError, match="given no meaning for 5, 9"):
            read_scoring(path, as_format="yasa")  # YASA's integers end at 4

    def test_stated_to_be_yasas(self, tmp_path: Path) -> None:
        assert stages_of(written(tmp_path, "0\n4\n-1\n-2\n3\n"), as_format="yasa") == [0, 4, -1, -1, 3]

    def test_in_a_table(self, tmp_path: Path) -> None:
        path = written(tmp_path, "onset\tduration\tstage\n0\t30\t0\n30\t60\t5\n")
        with pytest.raises(CodesNeededError, match="found 0 1×, 5 1×"):
            read_scoring(path)
        assert stages_of(path, codes=parse_codes("0=W,5=R")) == [0, 4, 4]
        named = written(tmp_path, "W\nN2\n", "words")
        assert "the codes that were given are not needed" in read_file(named, codes=parse_codes("0=W")).warnings[0]

    def test_comments_may_state_other_codes(self, tmp_path: Path) -> None:
        path = written(tmp_path, "# 1: W, 2=N1, 3: N2, 4: N3, 5: REM\n1\n5\n4\n")
        assert stages_of(path) == [0, 4, 3]

    def test_usleeps_array(self, tmp_path: Path) -> None:
        path = tmp_path / "h.npy"
        np.save(path, np.array([[0], [4], [5]]))
        with pytest.raises(CodesNeededError):
            read_scoring(path)
        assert stages_of(path, as_format="usleep") == [0, 4, -1]
        np.save(path, np.array([[0.1, 0.2, 0.3, 0.4, 0], [np.nan] * 5], dtype=np.float32))
        assert stages_of(path) == [3, -1]
        np.save(path, np.array([[0.2] * 5, [0, 0, 0, 0, 1], [0, 0.5, 0.5, 0, 0]]))
        assert stages_of(path) == [-1, 4, -1]
        assert any(
            "2 of 3 epochs have no likeliest stage but a tie" in one and "epoch 1)" in one for one in read_scoring(path).warnings
        )
        for bad, said in [(np.array([[0.9, 0.9, 0, 0, 0]]), "row 1: .* are not probabilities"), (np.array([0.5]), "row 1: 0.5"),
                          (np.zeros((2, 3)), "3 columns"), (np.array(["W"]), "not one value")]:  # fmt: skip
            np.save(path, bad)
            with pytest.raises(ScoringError, match=said):
                read_scoring(path)
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(ScoringError, match="no array of numbers"):
            read_scoring(path)

    @pytest.mark.parametrize("text", ["", "0", "0=", "x=W", "0=W,0=N1", "0=asleep", "0=W,,1=N1"])
    def test_codes_that_are_none(self, text: str) -> None:
        with pytest.raises(RequestError):
            parse_codes(text)


def test_a_character_that_the_first_look_cuts_in_two(tmp_path: Path) -> None:
    """The format is judged by the file's first 64 KiB, which may end within a character of UTF-8."""
    header = "\ufeffonset\tduration\ttrial_type\n0\t30\tN2\n"
    for shift in range(4):
        filler = "x" * shift + "é" * 40_000
        path = written(tmp_path, f"{header}30\t1\t{filler}\n30\t30\tR\n")
        assert (detect_format(path), stages_of(path)) == ("bids", [2, 4])


def test_usleeps_tables(tmp_path: Path) -> None:
    assert stages_of(written(tmp_path, "init_sec\tduration_sec\tstage\n0\t60\tWAKE\n60\t30\tREM\n")) == [0, 0, 4]
    assert stages_of(written(tmp_path, "0,60,WAKE\n60,30,N3\n90,30,UNKNOWN\n")) == [0, 0, 3, -1]
    with pytest.raises(ScoringError, match="line 2: duration_sec 'x'"):
        read_scoring(written(tmp_path, "0,60,WAKE\n60,x,N3\n"))


def test_tables_of_yasas_tutorial_and_edfbrowser(tmp_path: Path) -> None:
    path = written(tmp_path, ",Stage,Confidence\n0,W,0.9\n1,N2,0.8\n2,Snoring,0.5\n")
    assert (detect_format(path), stages_of(path)) == ("yasa", [0, 2, -1])
    path = written(tmp_path, "onset,label,duration\n0,W,30\n30,N3,60\n")
    assert (detect_format(path), stages_of(path)) == ("yasa", [0, 3, 3])


def test_bids_leaves_other_trial_types_alone(tmp_path: Path) -> None:
    text = "onset\tduration\ttrial_type\n0.0\t30.0\tW\n30\t30\tN2\n31\tn/a\tLights off\n33\t1\tstimulus\n"
    read = read_file(written(tmp_path, text))
    assert read.scoring is not None
    assert (read.format, read.scoring.stages.tolist()) == ("bids", [0, 2])
    assert read.events == (Event(31, 31, "Lights off", "", "bids"),)
    assert any("1 × 'stimulus'" in said for said in read.warnings)


def test_what_is_unusual_in_a_night_is_said() -> None:
    for stages, said in [
        ([0, 0, -1], "no epoch is scored as sleep"),
        ([0, 2, 2], "no epoch is scored as REM"),
        ([-1], "all are Unknown"),
    ]:
        assert said in unusual(Scoring(np.array(stages, np.int8)))[0]
    assert unusual(Scoring(np.array([0, 4], np.int8))) == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([
    "", "class\tstart\tstop\n", "0\n1\n", "W\nN1\n", REMLOGIC, "onset\tduration\ttrial_type\n", "onset,duration,label\n",
    "init_sec\tduration_sec\tstage\n", "a,b,c\n[],[],[]\n", PROFUSION, "<PSGAnnotation><ScoredEvents>", "Start,Stop,Event\n",
]), st.one_of(st.binary(max_size=120), st.text("0123456789:.,\t\n-+WNR/ e<>[]", max_size=160).map(str.encode)),
       st.sampled_from([None, *READABLE]))  # fmt: skip
def test_no_bytes_break_a_reader(head: str, tail: bytes, as_format: str | None) -> None:
    """Whatever a file holds, it is read or refused in one line, and its stages fit a recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(head.encode() + tail)
        try:
            read = read_file(path, as_format=as_format, duration_s=600, start=datetime(2020, 1, 1, 22))  # type: ignore[arg-type]
        except SleepFMError as error:
            refused = str(error)
        else:
            assert read.scoring is None or len(read.scoring.stages) == 20
            assert all(0 <= event.start_s <= event.stop_s <= 600 for event in read.events)
            refused = ""
    assert "\n" not in refused


def test_a_word_of_stages_never_becomes_wake() -> None:
    """No label but a word for wake is wake, whatever it is."""
    wake = {"w", "wake", "awake", "wakefulness", "stage w", "s0", "stage wake", "sleep stage w"}
    for word in ("", "0", "9", "unscored", "movement", "mt", "N5", "s9", "wa", "x", "quiet", "artefact", *wake):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.eannot"
            path.write_text(f"N2\nN2\n{word or '?'}\n")
            found = read_scoring(path, as_format="eannot").stages[2]
        assert (found == Stage.WAKE) == (word in wake)
