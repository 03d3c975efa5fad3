"""The job that scores the events of a study."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sleepfm.administration.app_settings import read_settings
from sleepfm.errors import RecordingError, RequestError
from sleepfm.home import Home
from sleepfm.inference.event_scoring import DEFAULT_PROFILE
from sleepfm.inference.event_scoring import score_events as score_night
from sleepfm.inference.night import Night
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.vitals import vitals_file
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.quality import QualityReport
from sleepfm.signals.vitals import measure_vitals


def score_events(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Score the events of a study and store them as a set; the vitals too, where the study has none yet.

    Parameters
    ----------
    parameters
        `study`; `scoring`, the number of the scoring whose stages count (None: the one that counts for the study); `profile`,
        psgscoring's rules; `breathing_model`, a breathing head to judge the night beside (None: a real one, where there is one).
    """
    # torch is loaded for it by the worker alone
    from sleepfm.inference.breathing_engine import choose_breathing, estimate_breathing  # noqa: PLC0415

    settings = read_settings(home)
    with Library(home) as library:
        study = library.study(parameters["study"])
        stages = _stages(library, study.id, parameters.get("scoring"))
        shelf = Shelf(home.models)
        head = choose_breathing(shelf, parameters.get("breathing_model"))
        with closing(library.recording(study.id, mapped=True)) as recording:
            library.require_unchanged(study.id)
            progress(0.0, "reading the file's fingerprint")
            sha256 = study.sha256 or fingerprint(recording.path)
            library.store_hash(study.id, sha256)
            night = Night(
                id=study.id,
                source=recording.path,
                recording=recording,
                work=library.study_folder(study.id),
                corrections=library.corrections(recording),
                sha256=sha256,
                judged=_quality(library, study.id),
                measured=measure_vitals(recording, part(progress, 0.0, 0.04)),
            )
            night.vitals().save(vitals_file(library, study.id))
            found = score_night(
                recording,
                stages.scoring,
                name=study.id,
                profile=parameters.get("profile") or DEFAULT_PROFILE,
                vitals=night.vitals(),
                quality=night.quality(part(progress, 0.04, 0.08)),
                progress=part(progress, 0.08, 0.8 if head else 1.0),
            )
            second = None
            if head is not None:
                second = estimate_breathing(
                    night,
                    head,
                    shelf,
                    device=settings.device,
                    precision=settings.precision,
                    progress=part(progress, 0.8, 1.0),
                ).as_dict()
        provenance = found.provenance | {
            "source_sha256": sha256,
            "scoring": stages.id,
            "note": f"{found.provenance['note'].partition(',')[0]}, stages by {stages.label}",
            "breathing_model": second,
        }
        number = store_events(library, study.id, found.events, engine=found.engine, model=found.model, provenance=provenance)
    return {"set": number, "counts": found.counts, "indices": provenance["indices"], "skipped": found.skipped}


def _stages(library: Library, study: str, number: int | None) -> StoredScoring:
    """Return the scoring whose stages count.

    Raises
    ------
    RequestError
        When the study has no such scoring, or none at all.
    """
    scorings = library.scorings(study)
    if number is None and scorings:
        return scorings[0]
    found = next((one for one in scorings if one.id == number), None)
    if found is None:
        what = "no scoring" if number is None else f"no scoring {number} any more"
        raise RequestError(f"{study} has {what}: events are counted by stage of sleep, so stage it first")
    return found


def _quality(library: Library, study: str) -> QualityReport | None:
    """Return the quality that the preparation found, None where it is not there or not readable: it is judged anew then."""
    try:
        return library.quality(study)
    except RecordingError:
        return None
