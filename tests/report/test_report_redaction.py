"""Whoever signs may share a name with the patient: theirs stays where they are named, the patient's goes everywhere."""

from __future__ import annotations

from dataclasses import replace

from sleepfm.recording.identity import Identity, identity_of_fields
from sleepfm.recording.scorings.scoring import Event
from sleepfm.report.html import html_report
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
