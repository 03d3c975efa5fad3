"""The job that stages a study."""

from __future__ import annotations

from contextlib import closing
from importlib.metadata import version
from typing import Any

from sleepfm.administration.app_settings import read_settings
from sleepfm.home import Home
from sleepfm.inference.cache import key
from sleepfm.inference.device import Precision, precision_mark
from sleepfm.inference.night import Night
from sleepfm.inference.staging import choose
from sleepfm.inference.staging import stage as stage_night
from sleepfm.library.library import Library
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import STAGE_NAMES, Kind, Stage


def stage(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Stage a study and store the scoring with its provenance; one made from the same things before is not made again."""
    settings = read_settings(home)
    with Library(home) as library:
        study = library.study(parameters["study"])
        shelf = Shelf(home.models)
        head = choose(parameters["engine"], parameters["model"], shelf)
        with closing(library.recording(study.id, mapped=True)) as recording:
            library.require_unchanged(study.id)
            progress(0.0, "reading the file's fingerprint")
            sha256 = study.sha256 or fingerprint(recording.path)
            library.store_hash(study.id, sha256)
            corrections = library.corrections(recording)
            made_from = _key(head, sha256, corrections, settings.precision)
            for stored in library.scorings(study.id):
                if stored.provenance.get("key") == made_from:
                    return _result(stored.scoring, stored.engine, stored.model) | {"reused": True}
            night = Night(
                id=study.id,
                source=recording.path,
                recording=recording,
                work=library.study_folder(study.id),
                corrections=corrections,
                sha256=sha256,
            )
            found = stage_night(
                night,
                engine=parameters["engine"],
                model=parameters["model"],
                shelf=shelf,
                device=settings.device,
                precision=settings.precision,
                progress=progress,
            )
        provenance = found.provenance | {"key": made_from, "source_sha256": sha256}
        library.store_scoring(study.id, found.scoring, engine=found.engine, model=found.model, provenance=provenance)
    return _result(found.scoring, found.engine, found.model)


def _key(head: ShelfEntry | None, sha256: str, corrections: dict[int, Kind], precision: Precision) -> str:
    weights = f"yasa {version('yasa')}"
    if head is not None:
        encoder = head.card.encoder
        weights = f"{head.card.weights_sha256} {'' if encoder is None else encoder.weights_sha256}{precision_mark(precision)}"
    inputs = {"source": sha256, "weights": weights, "corrections": {str(k): v.value for k, v in sorted(corrections.items())}}
    return key("staging", inputs)


def _result(scoring: Scoring, engine: str, model: str) -> dict[str, Any]:
    counts = {STAGE_NAMES[stage]: int((scoring.stages == stage).sum()) for stage in Stage}
    return {"engine": engine, "model": model, "counts": counts}
