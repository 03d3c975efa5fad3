"""The job that stages a study."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sleepfm.home import Home
from sleepfm.inference.night import Night
from sleepfm.inference.staging import stage as stage_night
from sleepfm.library.library import Library
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress
from sleepfm.vocabulary import STAGE_NAMES, Stage


def stage(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Stage a study and store the scoring with its provenance."""
    with Library(home) as library:
        study = library.study(parameters["study"])
        shelf = Shelf(home.models)
        with closing(library.recording(study.id, mapped=True)) as recording:
            night = Night(
                id=study.id,
                source=study.path,
                recording=recording,
                work=library.study_folder(study.id),
                corrections=library.corrections(recording),
                sha256=study.sha256,
            )
            found = stage_night(night, engine=parameters["engine"], model=parameters["model"], shelf=shelf, progress=progress)
        library.store_scoring(study.id, found.scoring, engine=found.engine, model=found.model, provenance=found.provenance)
    counts = {STAGE_NAMES[stage]: int((found.scoring.stages == stage).sum()) for stage in Stage}
    return {"engine": found.engine, "model": found.model, "counts": counts}
