"""The job that puts studies into the index that neighbours are looked up in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from sleepfm.administration.app_settings import read_settings
from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.home import Home
from sleepfm.inference.embedding_files import read_embeddings
from sleepfm.inference.night import Night
from sleepfm.library.embedding_index import EmbeddingIndex, Grain
from sleepfm.library.encoder_choice import choose_encoder, require_named
from sleepfm.library.library import Library
from sleepfm.library.present_embeddings import present_embeddings
from sleepfm.library.stored_scorings import BY_PEOPLE, scoring_places
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobTable, Lane
from sleepfm.vocabulary import TOKEN_S


def submit_index(home: Home, encoder: str | None = None, studies: Sequence[str] | None = None) -> Job:
    """Queue the indexing of studies (None: all that are missing) and see that it is worked off."""
    table = JobTable(home)
    try:
        what = "what is missing" if studies is None else f"{len(studies)} studies" if len(studies) != 1 else studies[0]
        job = table.add(
            "index",
            lane=Lane.HEAVY,
            title=f"Index {what} for neighbours",
            parameters={"encoder": encoder, "studies": None if studies is None else list(studies)},
        )
    finally:
        table.close()
    ensure_running(home)
    return job


def index(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Embed studies and add them to the index of windows, and to that of epochs where their scoring is from a person or the file.

    What is there already is not made again, so a run that was stopped goes on where it was.

    Parameters
    ----------
    parameters
        "encoder": its name, None for the best one that was trained on real recordings (for a simulated recording also one that
        was trained on simulated signals); "studies": their ids, None for all that are missing.

    Returns
    -------
    dict
        `encoder`; `indexed`: ids of those that were added; `failed`: `study` and `error` of each that could not be; `rows`:
        windows in the index now.

    Raises
    ------
    RequestError
        There is no such encoder.
    """
    encoder = choose_encoder(Shelf(home.models), parameters["encoder"])
    indexed: list[str] = []
    failed: list[dict[str, str]] = []
    with Library(home) as library:
        windows = EmbeddingIndex(library, encoder.card.weights_sha256, Grain.WINDOW)
        epochs = EmbeddingIndex(library, encoder.card.weights_sha256, Grain.EPOCH)
        without_windows, without_epochs = set(windows.missing()), set(epochs.missing())
        studies = parameters["studies"]
        scored = _scored(library)
        if studies is None:
            studies = sorted(without_windows | (without_epochs & scored))
        for number, study in enumerate(studies):
            here = part(progress, number / len(studies), (number + 1) / len(studies))
            here(0.0, f"{number} of {len(studies)}: {study}")
            try:
                simulated = library.study(study).simulated
                require_named(encoder, named=parameters["encoder"] is not None, simulated_recording=simulated, study=study)
                wanted = [windows] if study in without_windows else []
                wanted += [epochs] if study in without_epochs & scored else []
                # the embeddings of a night that nobody staged are what a second opinion on it is looked up by
                named = parameters["studies"] is not None and study not in scored
                if wanted or (named and present_embeddings(library, study, encoder.card.weights_sha256, TOKEN_S) is None):
                    _add(library, study, encoder, wanted, here)
                    indexed.append(study)
            except Cancelled:
                raise
            except SleepFMError as error:
                failed.append({"study": study, "error": str(error)})
        return {"encoder": encoder.name, "indexed": indexed, "failed": failed, "rows": windows.n}


def _scored(library: Library) -> set[str]:
    """Return the studies that a person scored, or whose file brought a scoring along."""
    return {place.study for place in scoring_places(library, BY_PEOPLE)}


def _add(library: Library, study: str, encoder: ShelfEntry, indexes: list[EmbeddingIndex], progress: Progress) -> None:
    with closing(library.recording(study, mapped=True)) as recording:
        library.require_unchanged(study)
        known = library.study(study)
        sha256 = known.sha256 or fingerprint(recording.path, part(progress, 0.0, 0.1))
        library.store_hash(study, sha256)
        corrections = library.corrections(recording)
        night = Night(
            id=study,
            source=recording.path,
            recording=recording,
            work=library.study_folder(study),
            corrections=corrections,
            sha256=sha256,
        )
        settings = read_settings(library.home)
        tokens = night.embeddings(
            encoder, device=settings.device, precision=settings.precision, progress=part(progress, 0.1, 0.95)
        )
        for one in indexes:
            embeddings = tokens if one.grain is Grain.EPOCH else read_embeddings(night.embedding_files(encoder)[1])
            one.add(study, embeddings, corrections)
