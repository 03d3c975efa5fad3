"""The job that computes a study's risk, and how it is submitted."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import Any

from sleepfm.administration.app_settings import read_settings
from sleepfm.home import Home
from sleepfm.inference.cache import key
from sleepfm.inference.device import precision_mark
from sleepfm.inference.night import Night
from sleepfm.inference.risk_request import choose_risk_model, require_demographic_players, require_person
from sleepfm.library.library import Library
from sleepfm.library.risks import risks, store
from sleepfm.models.card import Sex
from sleepfm.models.reference import REFERENCE_FILE, Reference, read_reference
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part
from sleepfm.recording.derivations import corrections_text
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, Lane


def submit_risk(
    library: Library, study: str, *, model: str, age: float | None, sex: Sex | None, demographic_players: bool = False
) -> Job:
    """Queue a study's risk and see that it is worked off.

    Parameters
    ----------
    model
        A disease model on the shelf.
    age, sex
        Of the person, in years, and as the person or the lab tells it; None only for a head that takes neither.
    demographic_players
        Whether age and sex get Shapley values of their own.

    Raises
    ------
    RequestError
        When there is no such study or model, or age and sex are missing or no possible ones.
    """
    parameters = {
        "study": library.study(study).id,
        "model": model,
        "age": age,
        "sex": sex,
        "demographic_players": demographic_players,
    }
    _checked(Shelf(library.home.models), parameters)
    job = library.jobs.add("risk", lane=Lane.HEAVY, title=f"Risk of {study}", subject=study, parameters=parameters)
    ensure_running(library.home)
    return job


def _checked(shelf: Shelf, parameters: dict[str, Any]) -> tuple[ShelfEntry, Reference | None]:
    """Return the model that is asked for and its reference, with everything else that is asked for found possible."""
    entry = choose_risk_model(shelf, parameters["model"])
    reference = read_reference(entry.folder)
    require_person(entry.card, parameters["age"], parameters["sex"])
    if parameters["demographic_players"]:
        require_demographic_players(entry.card, has_reference=reference is not None and bool(reference.ages_sexes))
    return entry, reference


def assess(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compute a study's risk and store it; one made from the same things before is not made again.

    Parameters
    ----------
    parameters
        "study", "model", "age", "sex" and "demographic_players", as of `submit_risk`.

    Returns
    -------
    dict
        `risk`: its number among the stored ones; `study`, `model`; `reused`: whether it was there already.

    Raises
    ------
    RequestError, ModelError, RecordingError
        As `sleepfm.inference.risk.night_risk`; nothing is stored then.
    """
    from sleepfm.inference.risk import load_risk_models, night_risk  # noqa: PLC0415 - torch, which submitting must not load

    identifier = parameters["study"]
    settings = read_settings(home)
    shelf = Shelf(home.models)
    entry, reference = _checked(shelf, parameters)
    encoder = shelf.encoder_of(entry.card)
    with Library(home) as library:
        with closing(library.recording(identifier, mapped=True)) as recording:
            library.require_unchanged(identifier)
            study = library.study(identifier)
            sha256 = study.sha256 or fingerprint(recording.path, part(progress, 0.0, 0.05))
            library.store_hash(identifier, sha256)
            corrections = library.corrections(recording)
            corrected = {str(index): kind.value for index, kind in corrections.items()}
            inputs = _made_from(shelf, entry, reference, parameters, sha256) | {"corrections": corrected}
            inputs["encoder"] += precision_mark(settings.precision)
            made_from = key("disease", inputs)
            answer = {"study": identifier, "model": entry.name}
            for stored in risks(library, identifier, entry.name):
                if stored.provenance["key"] == made_from:
                    return answer | {"risk": stored.id, "reused": True}
            night = Night(
                id=identifier,
                source=recording.path,
                recording=recording,
                work=library.study_folder(identifier),
                corrections=corrections,
                sha256=sha256,
            )
            embeddings = night.embeddings(
                encoder, device=settings.device, precision=settings.precision, progress=part(progress, 0.05, 0.5)
            )
        result = night_risk(
            embeddings,
            load_risk_models(entry, shelf),
            age=parameters["age"],
            sex=parameters["sex"],
            demographic_players=parameters["demographic_players"],
            progress=part(progress, 0.5, 1.0),
        )
        number = store(library, result, {"key": made_from, "source_sha256": sha256, "corrections": corrections_text(corrections)})
    return answer | {"risk": number, "reused": False}


def _made_from(
    shelf: Shelf, entry: ShelfEntry, reference: Reference | None, parameters: dict[str, Any], sha256: str
) -> dict[str, Any]:
    """Return what a result depends on besides what users corrected of the recording's channels."""
    card = entry.card
    compared, beside = "", ""
    if reference is not None:
        compared = hashlib.sha256((entry.folder / REFERENCE_FILE).read_bytes()).hexdigest()
        link = reference.demographics
        there = {one.card.weights_sha256 for one in shelf.entries(retired=True)}
        beside = link.weights_sha256 if link is not None and link.weights_sha256 in there else ""
    return {
        "source": sha256,
        "weights": card.weights_sha256,
        "encoder": "" if card.encoder is None else card.encoder.weights_sha256,
        "coding": None if card.demographics is None else card.demographics.model_dump(mode="json"),
        "reference": compared,
        "beside": beside,
        **{name: parameters[name] for name in ("age", "sex", "demographic_players")},
    }
