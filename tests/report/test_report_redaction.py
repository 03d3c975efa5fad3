"""Whoever signs may share a name with the patient: theirs stays where they are named, the patient's goes everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest

from sleepfm.errors import SleepFMError
from sleepfm.recording._pdf_text import pdf_texts
from sleepfm.recording.identity import Identity, identity_of_fields, require_no_identity
from sleepfm.recording.scorings.scoring import Event
from sleepfm.report.figures import draw
from sleepfm.report.finished_check import require_nobody_in
from sleepfm.report.html import html_report
from sleepfm.report.making import Wish, write_report
from sleepfm.report.pdf import pdf_report
from sleepfm.report.redaction import LEFT_OUT, without_identity
from sleepfm.report.report_data import ReportData, State
from tests.report.made_up_report import MADE_AT, report_data

PATIENT = Identity(words=frozenset({"meier", "anna", "meieranna", "annameier"}), dates=frozenset({MADE_AT.date()}))
SIGNER = "Peter Meier"


def signed() -> ReportData:
    """Return a night of Anna Meier, scored and signed by Peter Meier on the day on which it was recorded."""
    made = report_data(
        remarks=("seen by Meier",),
        events=(
            Event(1500.0, 1520.0, "Obstructive apnea", "Flow Meier", SIGNER),
            Event(1600.0, 1620.0, "Hypopnea", "Flow", "list of Meier"),
        ),
        events_by=f"{SIGNER}, begun from Meier_2.csv",
        provenance=(("Stages: file", "Meier_2.csv"), ("Night", MADE_AT.date().isoformat())),
    )
    standing = replace(
        made.standing, state=State.SIGNED, scorer=SIGNER, signed_by=SIGNER, signed_at=MADE_AT, proposal="Meier_2.csv"
    )
    return replace(made, facts=replace(made.facts, study="Meier_2"), standing=standing)


def test_a_pdf_of_somebody_else_with_an_empty_code_in_a_map_is_searched_all_the_same() -> None:
    objects = (
        b"<</Font <</F1 2 0 R>> >>",
        b"<</ToUnicode 3 0 R>>",
        b"<<>> stream\nbeginbfchar <> <0041> endbfchar\nendstream",
        b"<</Title (Anna Meier)>>",
        b"<<>> stream\n/F1 12 Tf (abc) Tj\nendstream",
    )
    made = b"".join(b"%d 0 obj %b endobj\n" % (number, one) for number, one in enumerate(objects, start=1))
    assert "Anna Meier" in "\n".join(pdf_texts(b"%PDF-1.4\n" + made))


def test_a_signer_who_shares_the_patients_surname_does_not_give_the_patient_away() -> None:
    told = without_identity(signed(), PATIENT, code="study-1")
    assert told.facts.study == "study-1"
    assert (told.standing.scorer, told.standing.signed_by, told.standing.proposal) == (SIGNER, SIGNER, LEFT_OUT)
    assert told.events_by == f"{SIGNER}, {LEFT_OUT}"
    assert [(event.channel, event.source) for event in told.events] == [(LEFT_OUT, SIGNER), ("Flow", LEFT_OUT)]
    assert told.remarks == (LEFT_OUT,)
    assert [value for _, value in told.provenance] == [LEFT_OUT, LEFT_OUT]
    page = html_report(told)
    assert page.count("Meier") == page.count(SIGNER) > 0


def test_a_patient_of_two_short_names_is_in_no_text() -> None:
    patient = identity_of_fields("X F X Bo_Li", "Startdate X X X X", start=None)
    made = report_data(remarks=("Bo Li woke", "the belt of Li, Bo slipped", "li is no name alone"))
    told = without_identity(replace(made, facts=replace(made.facts, study="Bo_Li")), patient, code="study-1")
    assert told.facts.study == "study-1"
    assert told.remarks == (LEFT_OUT, LEFT_OUT, "li is no name alone")
    assert told.quality == made.quality
    assert told.provenance == made.provenance


def test_the_finished_files_are_searched_not_only_what_they_are_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = without_identity(signed(), PATIENT, code="study-1")
    figures = draw(told)
    # a name that stands on every report, which then says nothing of hers
    told = replace(told, cleaned_of=replace(PATIENT, words=PATIENT.words | {"interpretation"}))
    for content in (html_report(told, figures).encode(), pdf_report(told, figures)):
        require_nobody_in(told, content, "study-1")
    named = replace(told, remarks=("“Café” (1) \\ ≥ 3 µV",), facts=replace(told.facts, study="anna-2"))  # the PDF's title too
    pages = pdf_report(named, figures)
    for content in (html_report(named, figures).encode(), pages):
        with pytest.raises(SleepFMError, match=r"study-1: was not written, for it still holds 1 word") as refused:
            require_nobody_in(named, content, "study-1")
        assert "anna" not in str(refused.value).lower()
    kaplan = replace(told, cleaned_of=Identity(words=frozenset({"kaplan"})), facts=replace(told.facts, study="Kaplan-2"))
    with pytest.raises(SleepFMError, match="was not written"):  # an author in the code is somebody's name too
        require_nobody_in(kaplan, html_report(kaplan, figures).encode(), "study-1")
    (tmp_path / "named.pdf").write_bytes(pages)
    with pytest.raises(SleepFMError, match=r"named\.pdf"):
        require_no_identity([tmp_path / "named.pdf"], Identity(words=frozenset({"anna"})))
    monkeypatch.setattr("sleepfm.report.making.draw", lambda _data: figures)
    with pytest.raises(SleepFMError, match="was not written"):
        write_report(named, tmp_path / "other", Wish())
    assert not list(tmp_path.glob("other*"))
    own = "".join("".join(pdf_texts(pages)).split())
    with pypdfium2.PdfDocument(pages) as document:  # another reader finds the same words
        for page in document:
            assert "".join(page.get_textpage().get_text_range().split()) in own
