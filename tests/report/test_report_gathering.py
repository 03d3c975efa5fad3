"""Reports of studies and files: whose they are is left out, what was signed is said, and a batch goes on after a bad one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path

import edfio
import numpy as np
import pypdfium2
import pytest

from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.cli.main import main
from sleepfm.errors import ScoringError
from sleepfm.home import Home, open_home
from sleepfm.library.event_sets import remove_events, store_events
from sleepfm.library.facts import store
from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.library.report_files import report_stamp, stored_report
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.review_states import sign
from sleepfm.library.reviews import document
from sleepfm.progress import silent
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.identity import identity_of, traces_of
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.report.gather import Telling, study_report
from sleepfm.report.gather_file import file_report
from sleepfm.report.html import html_report
from sleepfm.report.making import make_report

STUDY = "Haagse_Harriet"
NAMES = ("haagse", "harriet", "vermeulen", "4711234")


def write_night(path: Path, *, minutes: int = 6, labels: tuple[str, ...] = ("C4-M1", "SpO2", "Haagse lead")) -> Path:
    """Write noise whose header, labels and annotations all name a person."""
    rng = np.random.default_rng(5)
    signals = [
        edfio.EdfSignal(
            np.full(minutes * 60 * 64, 95.0) if label == "SpO2" else rng.normal(0, 20, minutes * 60 * 64).clip(-500, 500),
            64,
            label=label,
            physical_dimension="%" if label == "SpO2" else "uV",
            physical_range=(0, 110) if label == "SpO2" else (-500, 500),
        )
        for label in labels
    ]
    annotations = [edfio.EdfAnnotation(30.0 * k, 30.0, "Sleep stage N2" if k else "Sleep stage W") for k in range(minutes * 2)]
    annotations.append(edfio.EdfAnnotation(65.0, 12.0, "Hypopnea"))
    annotations.append(edfio.EdfAnnotation(95.0, 12.0, "Apnea"))
    edfio.Edf(
        signals,
        patient=edfio.Patient(code="MCH-4711234", sex="F", birthdate=date(1951, 5, 2), name="Haagse_Harriet"),
        recording=edfio.Recording(
            startdate=date(2002, 3, 4), hospital_administration_code="PSG-4711234", investigator_technician_code="Vermeulen"
        ),
        starttime=time(23, 10),
        annotations=annotations,
    ).write(path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a library with one prepared night of a person."""
    folder = tmp_path_factory.mktemp("reports")
    home = open_home(folder / "home")
    with Library(home) as library:
        assert library.add(write_night(folder / f"{STUDY}.edf")).id == STUDY
        store(library, STUDY, {"age": "51", "sex": "female"})
        prepare(home, {"study": STUDY}, silent)
    return home


@pytest.fixture
def library(home: Home) -> Iterator[Library]:
    """Give the library, open."""
    with Library(home) as opened:
        yield opened


def made(library: Library) -> tuple[Path, Path, str, str]:
    """Make the report of the study as the job does and return its files and texts."""
    number = library.scorings(STUDY)[0].id
    parameters = {"study": STUDY, "scoring": number, "identified": False, "person": True, "paper": "a4"}
    make_report(library.home, parameters, silent)
    stored = stored_report(library, STUDY, number)
    assert stored is not None
    document = pypdfium2.PdfDocument(stored.pdf)
    told = [str(document.get_metadata_dict()), *(page.get_textpage().get_text_range() for page in document)]
    return stored.html, stored.pdf, stored.html.read_text("utf-8"), "\n".join(told)


def test_nothing_of_the_header_is_in_a_report(library: Library) -> None:
    identity = identity_of(library.study(STUDY).path)
    assert {"haagse", "harriet", "vermeulen"} <= identity.words
    assert date(1951, 5, 2) in identity.dates
    html, pdf, page, pages = made(library)
    assert traces_of(html, identity) == []
    for text in (page.casefold(), pages.casefold()):
        assert not [name for name in NAMES if name in text]
        assert identity.traces_in(text, header=False) == []
    raw = html.read_bytes().lower() + pdf.read_bytes().lower()
    assert not [name for name in NAMES if name.encode() in raw]
    assert "study-" in pages  # the id was the person's name: a code stands in its place
    assert "23:10 to 23:16" in pages  # the time of night stays
    assert "51 years" in pages
    assert "left out: it named the person" in pages  # the channel that was called after them


def test_a_report_names_the_person_only_when_asked_to(library: Library) -> None:
    page = html_report(study_report(library, STUDY, telling=Telling(identified=True, person=False)))
    assert "MCH-4711234 F 02-MAY-1951 Haagse_Harriet" in page
    assert "2002-03-04" in page
    assert "51 years" not in page


def test_a_signed_report_carries_the_hash_and_a_changed_one_says_so(library: Library) -> None:
    base = library.scorings(STUDY)[0].id
    before = report_stamp(library, STUDY, base)
    store_events(
        library,
        STUDY,
        [Event(100.0, 115.0, "Obstructive apnea", "Flow", "psgscoring")],
        engine="psgscoring",
        model="aasm",
        provenance={"label": "psgscoring", "note": "0.37.0", "source_sha256": library.study(STUDY).sha256, "version": "0.37.0"},
    )
    assert report_stamp(library, STUDY, base) != before
    number = begin(library, STUDY, scorer="ada", user="ada", base=base)
    draft = study_report(library, STUDY, scoring=number)
    assert draft.standing.state == "open"
    assert [event.name for event in draft.events] == ["Obstructive apnea"]
    assert ("Events: engine version", "0.37.0") in draft.provenance
    sign(library, number, user="ada")
    stamp = report_stamp(library, STUDY, number)
    signed = study_report(library, STUDY, scoring=number)
    assert signed.standing.signed
    assert signed.standing.signed_by == "ada"
    assert signed.standing.sha256 == document(library, number).review.signed_sha256
    library.connection.execute("UPDATE review_events SET stop_s = stop_s + 1 WHERE scoring = ?", (number,))
    assert study_report(library, STUDY, scoring=number).standing.broken
    library.connection.execute("UPDATE review_events SET stop_s = stop_s - 1 WHERE scoring = ?", (number,))
    assert study_report(library, STUDY, scoring=number).standing.signed
    assert report_stamp(library, STUDY, number) == stamp


def test_a_report_names_the_set_that_was_taken_even_when_it_was_made_again(library: Library) -> None:
    """The provenance of events is that of the set which they were taken from, not of another one under its name."""

    def scored(version: str, label: str) -> int:
        about = {"label": label, "note": version, "source_sha256": library.study(STUDY).sha256, "version": version}
        about |= {"skipped": {"Hypopneas": f"no SpO2 for {version}"}}
        events = [Event(100.0, 115.0, "Obstructive apnea", "Flow", label)]
        return store_events(library, STUDY, events, engine=label, model="aasm", provenance=about)

    def told(number: int) -> tuple[str, str, bool]:
        data = study_report(library, STUDY, scoring=number)
        rows = dict(data.provenance)
        assert datetime.fromisoformat(rows["Events: made at"]).tzinfo is not None
        version = rows["Events: engine version"]
        return (
            data.events_by,
            version,
            f"Hypopneas: not scored by {data.events_by.split()[-1]} (no SpO2 for {version})." in data.remarks,
        )

    scored("1", "first")
    number = begin(library, STUDY, scorer="eve", user="eve")
    scored("2", "first")
    assert told(number) == ("eve, begun from first", "1", True)
    second = scored("3", "second")
    apply_edits(library, number, [Edit("take", "take events", events=second)], user="eve")
    remove_events(library, STUDY, second)
    assert told(number)[1:] == ("3", True)
    apply_edits(library, number, [Edit("undo", "undo")], user="eve")
    assert told(number)[1:] == ("1", True)


def test_a_file_is_reported_with_what_run_found(tmp_path: Path) -> None:
    night = write_night(tmp_path / "night.edf", labels=("C4-M1", "SpO2"))
    folder = tmp_path / "out" / "night"
    folder.mkdir(parents=True)
    stages = np.full(12, 2, np.int8)
    write_scoring(Scoring(stages), folder / "hypnogram.csv")
    counted = night_statistics(stages)
    (folder / "statistics.json").write_text(json.dumps(counted.as_dict()), "utf-8")
    engine = {"engine": "yasa", "label": "YASA", "version": "0.8.1", "note": "YASA 0.8.1", "warnings": ["no chin EMG"]}
    told = {"sha256": fingerprint(night), "stage": {"engine": "yasa", "provenance": engine}}
    (folder / "provenance.json").write_text(json.dumps(told), "utf-8")
    data = file_report(night, results_in=tmp_path / "out")
    assert data.statistics == counted
    assert data.standing.proposal == "YASA 0.8.1"
    assert "no chin EMG" in data.remarks
    assert data.scoring.stages.tolist() == stages.tolist()
    assert [event.name for event in data.events] == ["Hypopnea"]  # the recording's own, since run scored none
    assert any("kind is not said (1 × 'Apnea')" in remark for remark in data.remarks)
    assert data.vitals is not None
    assert float(data.vitals.spo2_1hz[100]) == pytest.approx(95, abs=0.01)
    (folder / "provenance.json").write_text(json.dumps(told | {"sha256": "0" * 64}), "utf-8")
    own = file_report(night, results_in=tmp_path / "out")  # results of another recording are not this one's
    assert own.scoring.stages.tolist() == [0, *[2] * 11]
    (folder / "provenance.json").write_text("{", "utf-8")
    with pytest.raises(ScoringError, match=r"provenance\.json"):
        file_report(night, results_in=tmp_path / "out")


def test_a_batch_goes_on_after_a_bad_one(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.edf"
    broken.write_bytes(b"0       " + b"x" * 300)
    night = write_night(tmp_path / "night.edf")
    words = ["report", str(broken), STUDY, str(night), "--out", str(tmp_path / "out"), "--home", str(home.root), "--json"]
    assert main([*words, "--pdf"]) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [one["source"] for one in found["failed"]] == [str(broken)]
    assert str(broken) in said.err
    assert len(found["records"]) == 2
    files = [Path(file) for one in found["records"] for file in one["files"]]
    assert files[0].name.startswith("study-")
    assert files[1].name == "night.pdf"
    assert all(file.read_bytes().startswith(b"%PDF-") for file in files)
    assert sorted((tmp_path / "out").iterdir()) == sorted(files)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "neither a file nor the id of a study"),
        (["{night}", STUDY, "--scoring", "s.csv"], "go with one recording"),
        (["{night}", "--scoring", "gone.csv"], "gone.csv"),
    ],
)
def test_a_wrong_request_is_one_line(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    night = write_night(tmp_path / "night.edf", minutes=1)
    asked = [word.format(night=night) for word in words]
    assert main(["report", *asked, "--out", str(tmp_path / "out"), "--home", str(home.root)]) != 0
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()
