"""Copies that name nobody: the samples are the same to four readers, and of the person nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import edfio
import h5py
import mne
import numpy as np
import pyedflib
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sleepfm.cli.main import main
from sleepfm.errors import Cancelled, RecordingError, RequestError, SleepFMError
from sleepfm.recording._technical_words import says_nobody
from sleepfm.recording.deidentify import deidentify
from sleepfm.recording.edf import open_edf
from sleepfm.recording.identity import Identity, identity_of, identity_of_fields, require_no_identity, traces_of
from tests.recording.edf_bytes import File, Signal, smooth, tal

SECRETS = ("mrn-0042871", "0042871", "müller", "mueller", "muller", "greta", "smith", "12-nov-1961", "19611112", "embla77", "fam")


def night(*, records: int = 6, notes: tuple[str, ...] = ("Arousal", "Greta asks for water"), kind: str = "EDF+C") -> File:
    """Return a recording that names its patient wherever a file can."""
    stamps = [tal(10 * n, *(notes if n == 1 else ()), width=120) for n in range(records)]
    signals = [
        Signal("EEG C3-M2", smooth(records, 40, 1), transducer="AgAgCl cup electrode", prefilter="HP:0.3Hz LP:35Hz N:50Hz"),
        Signal("Chin GMueller", smooth(records, 20, 2), transducer="put on by Smith", prefilter="see Greta's file"),
        Signal("EDF Annotations", stamps, unit="", physical=(-1, 1)),
    ]
    return File(
        signals,
        record_s=10,
        patient="MRN-0042871 F 12-NOV-1961 Müller_Greta",
        recording="Startdate 02-MAR-2021 PSG-7/21 Smith_J Embla77",
        reserved=f"{kind} Fam. Mueller",
    )


def written(folder: Path, file: File, name: str = "night.edf") -> Path:
    path = folder / name
    path.write_bytes(file.bytes())
    return path


def test_nothing_of_the_person_is_left_and_what_was_kept_is_said(tmp_path: Path) -> None:
    source = written(tmp_path, night())
    before = source.read_bytes()
    made = deidentify(source, tmp_path / "out.edf", keep=("age", "sex"), study_id="S012")
    copy = (tmp_path / "out.edf").read_bytes()
    for coded in (copy.decode("utf-8", "replace"), copy.decode("latin-1")):
        assert not [secret for secret in SECRETS if secret in coded.lower()]
    assert source.read_bytes() == before
    assert copy[8:88].decode().strip() == "S012 F X X age_59"
    assert copy[88:168].decode().strip() == "Startdate X X X X"
    assert copy[168:184] == b"01.01.8522.30.15"
    assert made.kept == ("sex F", "age 59 years", "time of day 22:30:15")
    assert made.removed["annotations"] == 1
    assert made.annotations_kept == 1
    assert {"patient field", "recording field", "start date", "labels", "transducer texts", "filter texts"} <= set(made.removed)
    with open_edf(tmp_path / "out.edf") as recording:
        assert [channel.label for channel in recording.channels] == ["EEG C3-M2", "Chin XXXXXXXX"]
        assert recording.channels[0].transducer == "AgAgCl cup electrode"
        assert recording.channels[0].prefilter == "HP:0.3Hz LP:35Hz N:50Hz"
        assert [one.text for one in recording.annotations()] == ["Arousal"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shift", [None, -400])
def test_other_readers_find_the_same_samples_and_times(tmp_path: Path, shift: int | None) -> None:
    source, out = written(tmp_path, night()), tmp_path / "out.edf"
    deidentify(source, out, shift_days=shift)
    ours = open_edf(out)
    with open_edf(source) as original:
        for index in (0, 1):
            np.testing.assert_array_equal(ours.read(index, 0, 60), original.read(index, 0, 60))
    day = date(1985, 1, 1) if shift is None else date(2020, 1, 27)
    reader = pyedflib.EdfReader(str(out))
    assert reader.getStartdatetime().date() == day
    assert f"{reader.getStartdatetime():%H:%M:%S}" == "22:30:15"
    with open_edf(source) as original:
        np.testing.assert_array_equal(reader.readSignal(1, digital=True), original.digital(1, 0))
    assert [str(text) for text in reader.readAnnotations()[2]] == ["Arousal"]
    reader.close()
    theirs = edfio.read_edf(out)
    np.testing.assert_array_equal(theirs.signals[0].digital, ours.digital(0, 0))
    assert theirs.starttime.isoformat() == "22:30:15"
    raw = mne.io.read_raw_edf(out, verbose="error")
    assert raw.info["meas_date"].date() == day
    assert [(one["onset"], one["description"]) for one in raw.annotations] == [(10.0, "Arousal")]
    ours.close()


def test_gaps_of_a_discontinuous_bdf_stay_where_they_were(tmp_path: Path) -> None:
    stamps = [tal(at, "Snore", "Frau Schulze", width=90) for at in (0, 10, 300, 310)]
    signals = [
        Signal("EEG", smooth(4, 30), physical=(-8388608, 8388607), digital=(-8388608, 8388607)),
        Signal("BDF Annotations", stamps, unit="", physical=(-1, 1), digital=(-8388608, 8388607)),
    ]
    file = File(signals, record_s=10, version=b"\xffBIOSEMI", reserved="BDF+D", sample_bytes=3, patient="X F X Schulze_Ida")
    source = written(tmp_path, file, "night.bdf")
    deidentify(source, tmp_path / "out.bdf")
    assert b"chulze" not in (tmp_path / "out.bdf").read_bytes()
    with open_edf(source) as original, open_edf(tmp_path / "out.bdf") as copy:
        assert copy.format == "BDF+D"
        assert copy.gaps == original.gaps == ((20.0, 300.0),)
        for segment in (0, 1):
            np.testing.assert_array_equal(copy.digital(0, segment), original.digital(0, segment))
        assert [one.onset_s for one in copy.annotations()] == [0.0, 10.0, 300.0, 310.0]
        assert copy.start is not None
        assert f"{copy.start:%H:%M:%S}" == f"{original.start:%H:%M:%S}"


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("Sleep stage N2", True),
        ("Obstructive Apnea", True),
        ("Limb movement@@Chin GMueller", True),
        ("Lights off", True),
        ("EEG arousal@@C3-A2", True),
        ("Entsättigung", True),
        ("SpO2 desaturation 89", True),
        ("phone call from the son", False),
        ("pt of Dr Weber to bathroom", False),
        ("ID 88123412", False),
        ("Greta: apnea", False),
        ("2021-03-02 lights off", False),
    ],
)
def test_annotations_stay_when_they_say_what_a_scoring_says(tmp_path: Path, text: str, *, stays: bool) -> None:
    made = deidentify(written(tmp_path, night(notes=(text,))), tmp_path / "out.edf")
    assert made.annotations_kept == int(stays)


def test_free_texts_stay_when_asked_for_but_not_those_that_name_the_patient(tmp_path: Path) -> None:
    notes = ("phone call from the son", "MUELLER awake", "born 12.11.1961")
    made = deidentify(written(tmp_path, night(notes=notes)), tmp_path / "out.edf", keep_annotations=True)
    assert (made.annotations_kept, made.removed["annotations"]) == (1, 2)
    with open_edf(tmp_path / "out.edf") as copy:
        assert [one.text for one in copy.annotations()] == ["phone call from the son"]


KEPT = ("son phoned", "turned at 22:15", "BP 120/80", "Tech enters room", "doctor informed")
LEFT_OUT = (
    "Dr Miller called", "nurse: Anna was here", "Frau Weiß ruft an", "anna@example.org", "call 0171-5551234", "+44 20 79460000",
    "seen 3/4/2021", "case 1234567", "MUELLER awake",
)  # fmt: skip


def test_of_free_texts_what_tells_of_anybody_goes_and_the_rest_is_listed_to_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = written(tmp_path, night(notes=("Arousal", *KEPT))), tmp_path / "out.edf"
    made = deidentify(source, out, keep_annotations=True)
    assert made.free_texts == (KEPT[0], KEPT[1], KEPT[4])  # the others are usual words of a scoring
    for text in LEFT_OUT:
        left = deidentify(written(tmp_path, night(notes=(text,)), "other.edf"), tmp_path / "left.edf", keep_annotations=True)
        assert (left.free_texts, left.annotations_kept) == ((), 0), text
    assert main(["deidentify", str(source), "--out", str(out), "--keep-annotations"]) == 0
    said = capsys.readouterr().err
    assert "3 different free text(s)" in said
    assert "read them" in said
    assert "“son phoned”" in said
    assert deidentify(source, out).free_texts == ()


def test_a_name_that_is_a_word_of_the_montage_is_said_not_silently_passed_over(tmp_path: Path) -> None:
    file = night(notes=("Chin, Lee awake", "Arousal@@Chin"))
    file.patient = "X M X Chin_Lee"
    made = deidentify(written(tmp_path, file), tmp_path / "out.edf")
    assert any("also words of every montage" in remark for remark in made.remarks)
    with open_edf(tmp_path / "out.edf") as copy:
        assert [one.text for one in copy.annotations()] == ["Arousal"]
        assert copy.channels[1].label.startswith("Chin")


def test_what_says_simulated_still_says_so(tmp_path: Path) -> None:
    file = night()
    file.recording = "Startdate 02-MAR-2021 X X SIMULATED"
    deidentify(written(tmp_path, file), tmp_path / "out.edf")
    with open_edf(tmp_path / "out.edf") as copy:
        assert copy.simulated


def test_people_above_89_are_over_89_and_an_unknown_age_is_not_made_up(tmp_path: Path) -> None:
    file = night()
    file.patient = "X M 01-JAN-1927 Old_Man"
    made = deidentify(written(tmp_path, file), tmp_path / "out.edf", keep=("age",))
    assert "age over 89 years" in made.kept
    assert (tmp_path / "out.edf").read_bytes()[8:88].split() == [b"X", b"X", b"X", b"X", b"age_over_89"]
    file.patient = "somebody"
    made = deidentify(written(tmp_path, file), tmp_path / "out.edf", keep=("age", "sex"))
    assert "the header does not say the age" in made.remarks


def test_words_in_number_fields_and_behind_the_header_do_not_stay(tmp_path: Path) -> None:
    file = night()
    file.signals[0].physical = (-3276.8, "Greta")
    raw = file.bytes()
    (tmp_path / "night.edf").write_bytes(raw + b"Mueller")
    made = deidentify(tmp_path / "night.edf", tmp_path / "out.edf")
    copy = (tmp_path / "out.edf").read_bytes()
    assert b"Greta" not in copy
    assert b"ueller" not in copy
    assert any("cut short" in remark for remark in made.remarks)


def test_a_name_among_the_samples_makes_it_fail_and_leaves_nothing(tmp_path: Path) -> None:
    file = night()
    hidden = np.frombuffer(b"xxGreta Mueller " * 5, "<i2")[:40]
    file.signals[0].data = np.vstack([hidden, smooth(5, 40)])
    source = written(tmp_path, file)
    with pytest.raises(SleepFMError, match="still holds"):
        deidentify(source, tmp_path / "out.edf")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["night.edf"]


def test_requests_that_cannot_be_right_are_one_line(tmp_path: Path) -> None:
    source = written(tmp_path, night())
    for options, words in (
        ({"out": source}, "is the recording itself"),
        ({"out": tmp_path / "mueller.edf"}, "the file's name holds"),
        ({"study_id": "greta"}, "study id holds"),
        ({"study_id": "a b"}, "letters, digits"),
        ({"shift_days": 0}, "other than 0"),
        ({"shift_days": -20000}, "1985 to 2084"),
    ):
        with pytest.raises(RequestError, match=words):
            deidentify(source, **({"out": tmp_path / "out.edf"} | options))
    with pytest.raises(RequestError, match="no such file"):
        deidentify(tmp_path / "none.edf", tmp_path / "out.edf")
    assert not (tmp_path / "out.edf").exists()


@pytest.mark.parametrize("length", [0, 100, 300, 1100])
def test_a_truncated_file_is_one_line_and_nothing_is_written(tmp_path: Path, length: int) -> None:
    (tmp_path / "night.edf").write_bytes(night().bytes()[:length])
    with pytest.raises(RecordingError) as refused:
        deidentify(tmp_path / "night.edf", tmp_path / "out.edf")
    assert "\n" not in str(refused.value)
    assert [one.name for one in tmp_path.iterdir()] == ["night.edf"]


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    def stop(_fraction: float, _message: str) -> None:
        raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        deidentify(written(tmp_path, night()), tmp_path / "out.edf", progress=stop)
    assert [one.name for one in tmp_path.iterdir()] == ["night.edf"]


def test_a_record_full_of_annotations_is_rewritten_in_its_room(tmp_path: Path) -> None:
    many = b"".join(b"+%d\x14Arousal\x14Greta %d\x14\x00" % (n, n) for n in range(40_000))
    rows = [(b"+0\x14\x14\x00" + many).ljust(1_600_000, b"\x00"), b"no stamp \x14\x00\xff\xfe".ljust(1_600_000, b"\x00")]
    file = File(
        [Signal("EEG", smooth(2, 40)), Signal("EDF Annotations", rows, unit="", physical=(-1, 1))], record_s=10, reserved="EDF+C"
    )
    file.patient = "X F X Greta"
    made = deidentify(written(tmp_path, file), tmp_path / "out.edf")
    assert (made.annotations_kept, made.removed["annotations"]) == (40_000, 40_000)
    assert (tmp_path / "out.edf").stat().st_size == (tmp_path / "night.edf").stat().st_size
    assert b"Greta" not in (tmp_path / "out.edf").read_bytes()


letters = st.text(st.characters(categories=("Lu", "Ll"), max_codepoint=0x24F), min_size=5, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=letters,
    code=st.from_regex(r"[A-Z]{3}[0-9]{5}", fullmatch=True),
    where=st.sampled_from(("label", "note", "filter", "all")),
)
def test_whatever_the_name_it_is_nowhere_in_the_copy(tmp_path: Path, name: str, code: str, where: str) -> None:
    file = night(notes=(f"{name} is awake", f"apnea {code}") if where in ("note", "all") else ())
    file.patient = f"{code} X X {name}"
    if where in ("label", "all"):
        file.signals[1].label = f"EMG {name}"
    if where in ("filter", "all"):
        file.signals[1].prefilter = f"HP:{code} {name}"
    source = written(tmp_path, file)
    assume(not identity_of(source).technical)
    deidentify(source, tmp_path / "out.edf")
    copy = (tmp_path / "out.edf").read_bytes()
    for coding in ("utf-8", "latin-1"):
        text = copy[:1200].decode(coding, "replace").casefold()
        assert name.casefold() not in text
        assert code.casefold() not in copy.decode(coding, "replace").casefold()
    assert copy[1024:1104] == source.read_bytes()[1024:1104]


def named(patient: str) -> Identity:
    return identity_of_fields(patient, "Startdate 02-MAR-2021 X X X", start=None)


short_pieces = st.text("abdefghijklmnopqrstuvwyz", min_size=1, max_size=2)
separators = st.text(" _-.,;:/()", max_size=3)


@settings(max_examples=80, deadline=None)
@given(
    pieces=st.lists(short_pieces, min_size=2, max_size=4),
    written=st.sampled_from(("_", " ", "-", ", ")),
    between=separators,
    around=st.tuples(st.sampled_from(("", "Arousal ", "12", "(")), st.sampled_from(("", " woke", "2.edf", "_x", ")"))),
    turned=st.booleans(),
)
def test_a_name_of_short_pieces_is_found_with_any_separators_in_both_orders(
    pieces: list[str], written: str, between: str, around: tuple[str, str], *, turned: bool
) -> None:
    whole = written.join(pieces)
    known = named(f"X F X {whole.title()}")
    assume(written not in (" ", ", ") or not {"m", "f"} & set(pieces))  # alone between blanks it is the sex
    assume(any(not says_nobody(f"{a} {b}") and len(a + b) > 2 and known.sequences & {(a, b)} for a, b in pairwise(pieces)))
    text = between.join(reversed(pieces) if turned else pieces).upper()
    assert known.traces_in(f"{around[0]}{text}{around[1]}")
    assert known.traces_in(f"{around[0]}{text}{around[1]}", header=False)
    for alone in pieces:
        if len(pieces) == 2 and not says_nobody(alone) and pieces[0] != pieces[1]:
            assert not known.names_in(f"{alone}-03")
            assert not known.names_in(f"Arousal {alone} x")


@pytest.mark.parametrize(
    ("patient", "text", "names"),
    [
        ("X F X Bo_Li", "Bo Li woke", True),
        ("X F X Bo_Li", "Li, Bo", True),
        ("Bo Li", "boli-3", True),
        ("Li, Bo 02 MAR 1961", "Bo  Li", True),
        ("X F X Bo_van_Li", "Bo Li", True),
        ("X F X Bo_Li", "li-03", False),
        ("X F X Bo_Li", "metal bolide", False),
        ("X F X Bo_Li", "Bolivian", False),
        ("X F X Le_An", "cleaned the electrode", False),
        ("AB-12 F X X", "ab12", True),
        ("X M X Will_May", "May sleep", True),
        ("X M X Will_May", "the indices may mix hours; 12 May 2020, May 12", False),
        ("X M X Jan_May", "JAN/MAY", True),
        ("X M X Jan_May", "jan may", True),
        ("X F X 田中", "田中 wake", True),
        ("X F X 田_中", "田 中さん", True),
        ("X F X 田_中", "中枢性", False),
        ("123 F X X", "123", True),
        ("123 F X X", "SpO2 123", False),
        ("12-34 F X X", "code 12/34", True),
        ("12-34 F X X", "at 12:34 and 12.34", False),
        ("X F X De_La_Cruz", "movimiento de la pierna", False),
        ("X F X C3_A2", "C3-A2", False),
        ("X F X Chin_Li", "Chin Li", True),
    ],
)
def test_short_names_are_found_together_and_not_alone(patient: str, text: str, *, names: bool) -> None:
    assert named(patient).names_in(text) is names


def test_short_names_are_refused_taken_out_and_said(tmp_path: Path) -> None:
    file = night(notes=("Bo Li woke", "li moved", "May we stop", "lamp on"))
    file.patient, file.recording = "123 F X Bo_Li", "Startdate 02-MAR-2021 X X X"
    file.signals[1].label = "Chin Bo-Li"
    source = written(tmp_path, file)
    with pytest.raises(RequestError, match="study id holds"):
        deidentify(source, tmp_path / "out.edf", study_id="Bo.Li")
    with pytest.raises(RequestError, match="study id holds"):
        deidentify(source, tmp_path / "out.edf", study_id="123")
    made = deidentify(source, tmp_path / "out.edf", study_id="Li-03", keep_annotations=True)
    (remark,) = (one for one in made.remarks if "too short" in one)
    assert remark.startswith("3 part(s)")
    assert not {"bo", "li", "123"} & set(remark.lower().replace(";", " ").split())
    with open_edf(tmp_path / "out.edf") as copy:
        assert [one.text for one in copy.annotations()] == ["li moved", "May we stop", "lamp on"]
        assert copy.channels[1].label == "X"
    (tmp_path / "report.txt").write_text("seen by Bo_Li", "utf-8")
    with pytest.raises(SleepFMError, match=r"a short name$"):
        require_no_identity([tmp_path / "report.txt"], named("X F X Bo_Li"))


def test_a_surname_that_is_a_month_is_taken_out_where_it_is_written_like_a_name(tmp_path: Path) -> None:
    file = night(notes=("May sleep", "arousal in may", "Arousal"))
    file.patient = "X M X Will_May"
    made = deidentify(written(tmp_path, file), tmp_path / "out.edf", keep_annotations=True)
    with open_edf(tmp_path / "out.edf") as copy:
        assert [one.text for one in copy.annotations()] == ["arousal in may", "Arousal"]
    assert any("too common a word" in one for one in made.remarks)


def identity() -> Identity:
    return Identity(frozenset({"mueller", "lee", "cohen"}), frozenset({"0042871"}), frozenset({date(1961, 11, 12)}))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Patient: MÜLLER", False),  # another spelling is another token: `identity_of` gives both
        ("by Mueller", True),
        ("sleep efficiency, asleep", False),
        ("seen by Lee.", True),
        ("Cohen's kappa", False),
        ("code 0042871", True),
        ("0.0042871", False),
        ("born 11/12/1961", True),
        ("1961-11-12T00:00", True),
        ("19611112", True),
        ("12. Nov 1961", True),
        ("nov 12, 61", True),
        ("at 12.11.19 o'clock", False),
        ("iVBOR;base64,AAmuellerAA", False),
    ],
)
def test_exports_are_searched_for_words_as_words_and_dates_in_any_order(tmp_path: Path, text: str, *, left: bool) -> None:
    file = tmp_path / "report.html"
    file.write_text(f"<p>{text}</p>", "utf-8")
    assert bool(traces_of(file, identity())) is left
    if left:
        with pytest.raises(SleepFMError) as refused:
            require_no_identity([file], identity())
        assert "mueller" not in str(refused.value).casefold()


def test_labels_of_a_signals_file_are_searched(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "signals.hdf5", "w") as file:
        data = file.create_dataset("night/BAS/C3", data=np.zeros(8, np.float16))
        data.attrs["original_label"] = "EEG C3"
    require_no_identity([tmp_path / "signals.hdf5"], identity())
    with h5py.File(tmp_path / "signals.hdf5", "a") as file:
        file["night/BAS/C3"].attrs["original_label"] = "C3 lee"
    with pytest.raises(SleepFMError, match=r"signals\.hdf5"):
        require_no_identity([tmp_path / "signals.hdf5"], identity())


def test_the_command_prints_one_object_and_refuses_words_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path, night())
    assert (
        main(["deidentify", str(source), "--out", str(tmp_path / "out.edf"), "--keep", "sex", "--no-keep-start-time", "--json"])
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said["kept"] == ["sex F"]
    assert (tmp_path / "out.edf").read_bytes()[176:184] == b"00.00.00"
    with pytest.raises(SystemExit) as refused:
        main(["deidentify", str(source), "--out", "x.edf", "--keep", "name"])
    assert refused.value.code == 2
    assert main(["deidentify", str(source), "--out", str(source)]) == 2


@pytest.fixture
def real(shared: Path) -> Iterator[Path]:
    yield from [shared / "data" / "psg" / "nox_a1_2min_90ch.edf"]


def test_a_real_montage_of_90_channels_reads_alike(tmp_path: Path, real: Path) -> None:
    deidentify(real, tmp_path / "out.edf", keep=("sex",))
    with open_edf(real) as original, open_edf(tmp_path / "out.edf") as copy:
        assert [(c.label, c.kind, c.unit, c.gain) for c in copy.channels] == [
            (c.label, c.kind, c.unit, c.gain) for c in original.channels
        ]
        for channel in original.channels[::7]:
            np.testing.assert_array_equal(copy.digital(channel.index, 0), original.digital(channel.index, 0))
    assert b"992901397" not in (tmp_path / "out.edf").read_bytes()
