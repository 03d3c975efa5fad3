"""Gathering what a report says of a study of the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import sleepfm
from sleepfm.analysis.spectrogram import read_spectrogram
from sleepfm.analysis.spectrogram_choice import first_spectrogram
from sleepfm.errors import RequestError, ScoringError
from sleepfm.library.ahi_rule import ahi_rule
from sleepfm.library.events_by_hand import events_by_hand
from sleepfm.library.facts import person
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.night_statistics import study_statistics
from sleepfm.library.review_log import changes_since
from sleepfm.library.review_proposal import proposal_words
from sleepfm.library.review_states import is_as_signed
from sleepfm.library.reviews import ReviewDocument, ReviewState, document
from sleepfm.library.scored_night import ScoredNight, scored_night
from sleepfm.library.study import AUTOMATIC_ENGINES, Study
from sleepfm.models.card import SIMULATED
from sleepfm.recording.derivations import Derivation, montages
from sleepfm.recording.identity import identity_of
from sleepfm.recording.quality import QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.scoring import Event
from sleepfm.report.redaction import without_identity
from sleepfm.report.report_data import ChannelQuality, ReportData, Spectrum, Standing, State, StudyFacts
from sleepfm.signals.trace_windows import trace_key
from sleepfm.vocabulary import EventName

SOFTWARE = ("Software", f"SleepFM Workbench {sleepfm.__version__}")
_TOLD: tuple[tuple[str, str], ...] = (
    ("Engine", "note"),
    ("Engine version", "version"),
    ("Model", "model"),
    ("Weights sha256", "weights_sha256"),
    ("Trained on", "trained_on"),
    ("Encoder", "encoder"),
    ("Encoder sha256", "encoder_sha256"),
    ("Signal recipe", "recipe"),
    ("Computed on", "device"),
    ("Precision", "precision"),
    ("Made at", "made_at"),
)
"""What is told of an engine: the words of the report and the key of the provenance."""


@dataclass(frozen=True)
class Telling:
    """What a report may tell of the person.

    Attributes
    ----------
    identified
        Whether it names the person and the day; else every text that holds a word of the header's identity is left out.
    person
        Whether it tells age and sex, where the lab's table does.
    """

    identified: bool = False
    person: bool = True


def study_report(
    library: Library,
    identifier: str,
    *,
    scoring: int | None = None,
    telling: Telling = Telling(),
    made_at: datetime | None = None,
) -> ReportData:
    """Return the data of a study's report.

    Parameters
    ----------
    scoring
        Which of its scorings; the one that counts (`Library.scorings`) unless told.
    made_at
        When the report is made (UTC); now unless told.

    Raises
    ------
    RequestError
        When there is no such study or scoring.
    ScoringError
        When the study has no scoring yet.
    RecordingError
        When its recording cannot be read.
    """
    telling = telling or Telling()
    study = library.study(identifier)
    stored = _stored(library, study, scoring)
    content = document(library, stored.id) if stored.by_person else None
    with closing(library.recording(identifier)) as recording:
        night = scored_night(library, study.id, stored.id)
        proposal = _of_proposal(library, study.id, stored)
        made = ReportData(
            facts=study_facts(recording, study.id, telling, *_person(library, study.id, telling)),
            scoring=replace(stored.scoring, stages=night.stages_n),
            standing=_standing(library, stored, content, night),
            statistics=study_statistics(library, study.id, stored.id),
            made_at=made_at or datetime.now(UTC),
            events=night.events,
            events_by=_events_by(stored, night),
            by_hand=None if content is None else events_by_hand(library, content),
            ahi_rule=ahi_rule(night.events_from.provenance),
            lights_off_s=lights_mark(night.events, EventName.LIGHTS_OFF),
            lights_on_s=lights_mark(night.events, EventName.LIGHTS_ON),
            gaps=recording.gaps,
            vitals=night.vitals,
            spectrum=_stored_spectrum(library, study.id, recording, proposal),
            quality=channel_quality(recording, library.quality(study.id)),
            simulated_models=simulated_models(stored.provenance, proposal, night.events_from.provenance),
            remarks=(*recording.problems, *warnings_of(stored.provenance), *night.events_from.remarks),
            provenance=(
                SOFTWARE,
                *engine_rows("Stages", proposal),
                *((("Scorer", stored.label),) if stored.by_person else ()),
                *engine_rows("Events", night.events_from.provenance),
                ("Recording sha256", study.sha256 or "not known yet"),
            ),
        )
        return made if telling.identified else without_identity(made, identity_of(recording.path), code=study_code(study.sha256))


def _stored(library: Library, study: Study, scoring: int | None) -> StoredScoring:
    every = library.scorings(study.id)
    if not every:
        raise ScoringError(f"{study.id}: has no scoring to report; stage it on the Review page or score it there")
    chosen = [one for one in every if scoring is None or one.id == scoring]
    if not chosen:
        raise RequestError(f"{study.id}: has no scoring {scoring} any more; choose another")
    return chosen[0]


def _person(library: Library, study: str, telling: Telling) -> tuple[float | None, str | None]:
    known = person(library, study)
    return (known.age, known.sex) if telling.person else (None, None)


def study_facts(recording: Recording, study: str, telling: Telling, age: float | None, sex: str | None) -> StudyFacts:
    """Return which night a recording is, with as much of the person as may be told."""
    start = recording.start
    return StudyFacts(
        study=study,
        duration_s=recording.duration_s,
        start_time=None if start is None else start.time(),
        start_date=None if start is None or not telling.identified else start.date(),
        patient=recording.patient if telling.identified else None,
        age=age,
        sex=sex,
        simulated=recording.simulated,
    )


def _events_by(stored: StoredScoring, night: ScoredNight) -> str:
    """Return who marked the events of a scoring."""
    label = night.events_from.label
    if not stored.by_person:
        return label
    return f"{stored.label}, begun from {label}" if label else stored.label


def _standing(library: Library, stored: StoredScoring, content: ReviewDocument | None, night: ScoredNight) -> Standing:
    if content is None:
        return Standing(State.PROPOSAL, proposal_words(stored.provenance), by_program=stored.engine in AUTOMATIC_ENGINES)
    review = content.review
    edits = Counter(entry.action for entry in changes_since(library, stored.id, 0))
    return Standing(
        State(review.state.value),
        proposal=review.proposal,
        by_program=review.base is not None and review.base.get("engine") in AUTOMATIC_ENGINES,
        scorer=review.scorer,
        looked_at=int(night.looked_at_n.sum()),
        changed_epochs=int((content.stages != content.proposed).sum()),
        edits=dict(edits),
        changed_at=review.changed_at,
        signed_by=review.signer,
        signed_at=review.signed_at,
        sha256=(review.signed_sha256 or "") if review.state is ReviewState.SIGNED else "",
        broken=review.state is ReviewState.SIGNED and not is_as_signed(content),
    )


def _of_proposal(library: Library, study: str, stored: StoredScoring) -> Mapping[str, Any]:
    """Return the provenance of what the stages began from: of that scoring while it is there, else what the review kept of it."""
    if not stored.by_person:
        return stored.provenance
    base = stored.provenance.get("base") or {"note": "begun from nothing"}
    return next((one.provenance for one in library.scorings(study) if one.id == base.get("id") and not one.by_person), base)


def engine_rows(what: str, provenance: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what is told of an engine, for the table of provenance."""
    said = [(f"{what}: {name[0].lower()}{name[1:]}", provenance.get(key)) for name, key in _TOLD]
    return tuple((name, str(value)) for name, value in said if value)


def simulated_models(*provenances: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the models that were trained on simulated signals; of a review also its proposal's."""
    every = chain.from_iterable((one, one.get("base") or {}) for one in provenances)
    named = [str(one.get("model") or one.get("label")) for one in every if one.get("trained_on") == SIMULATED]
    return tuple(dict.fromkeys(named))


def warnings_of(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what an engine warned of, each a sentence."""
    return tuple(str(one) for one in provenance.get("warnings") or ())


def lights_mark(events: Sequence[Event], name: EventName) -> float | None:
    """Return the mark that the statistics go by: the first Lights off, the last Lights on."""
    marked = [event.start_s for event in events if event.name == name]
    return None if not marked else min(marked) if name is EventName.LIGHTS_OFF else max(marked)


def _stored_spectrum(library: Library, study: str, recording: Recording, provenance: Mapping[str, Any]) -> Spectrum | None:
    """Return the spectrogram that a technician would choose of those that are stored."""
    files = library.spectrograms(study)
    traces = {trace_key(one.plus, one.minus): one for one in shown_traces(recording)}
    by_label = {traces[key].label: key for key in files if key in traces}
    first = first_spectrogram(list(by_label), [signals_of(provenance)])
    if first is None:
        return None
    key = by_label[first]
    return Spectrum(read_spectrogram(files[key]), first, recording.channel(traces[key].plus).unit)


def shown_traces(recording: Recording) -> list[Derivation]:
    """Return every trace of the montages, in their order."""
    return [trace for montage in montages(recording) for trace in montage.traces]


def signals_of(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels that a scoring was made from, which engines list or give by modality."""
    named = provenance.get("signals", ())
    return tuple(chain.from_iterable(named.values())) if isinstance(named, Mapping) else tuple(named)


def channel_quality(recording: Recording, report: QualityReport | None) -> tuple[ChannelQuality, ...]:
    """Return the quality of the channels that were judged; nothing where the report is of other channels."""
    if report is None:
        return ()
    judged = {index for index, is_judged in zip(report.channels, report.judged, strict=True) if is_judged}
    return tuple(
        ChannelQuality(
            channel.label, channel.kind.value, report.of(channel.index), report.words(channel.index), report.is_bad(channel.index)
        )
        for channel in recording.channels
        if channel.index in judged
    )


def study_code(sha256: str | None) -> str:
    """Return what a study is called whose id names the person."""
    return f"study-{(sha256 or 'unknown')[:10]}"
