"""The routes behind the page of neighbours and the viewer's second opinion; what needs the index is asked of the helper process.

They only read. A request never waits for torch in the web server: `in_resident` answers from another process, and the server's
event loop is free meanwhile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.inference.simulated_models import SIMULATED_WORDS
from sleepfm.library.library import Library
from sleepfm.library.resident import in_resident
from sleepfm.library.second_opinion import second_opinion
from sleepfm.library.study_agreement import StudyAgreement, study_agreement
from sleepfm.models.shelf import Shelf
from sleepfm.text import printable
from sleepfm.viewer.clips import clip
from sleepfm.viewer.route_requests import HEADERS, answering, seconds_parameter, study_parameter, whole_parameter
from sleepfm.viewer.similar_encoders import first_choice, offered_by_name
from sleepfm.viewer.similar_words import opinion_words, sentences
from sleepfm.viewer.study_source import StudySource
from sleepfm.vocabulary import Modality

CLIP_PATH = "/sleepfm/clip"
AGREEMENT_PATH = "/sleepfm/agreement"
OPINION_PATH = "/sleepfm/second-opinion"

MOST_EPOCHS = 100_000


def similar_routes(source: StudySource, home: Home) -> list[BaseRoute]:
    """Return the routes.

    Parameters
    ----------
    source
        Resolves study ids to recordings.
    home
        Where the index is.
    """

    async def one_clip(request: Request) -> Response:
        study, start_s = study_parameter(request), seconds_parameter(request, "start")
        modalities = _modalities(request)
        return JSONResponse(await run_in_threadpool(clip, source, study, start_s, modalities), headers=HEADERS)

    async def agreement(request: Request) -> Response:
        found = await run_in_threadpool(in_resident, home, study_agreement, _encoder(request), study_parameter(request))
        return JSONResponse(agreement_json(found), headers=HEADERS)

    async def opinion(request: Request) -> Response:
        study, epoch = study_parameter(request), whole_parameter(request, "epoch", 1, MOST_EPOCHS)
        named = request.query_params.get("encoder", "")
        return JSONResponse(await run_in_threadpool(_opinion, home, study, epoch, named), headers=HEADERS)

    return [
        Route(CLIP_PATH, answering(one_clip)),
        Route(AGREEMENT_PATH, answering(agreement)),
        Route(OPINION_PATH, answering(opinion)),
    ]


def agreement_json(found: StudyAgreement) -> dict[str, Any]:
    """Return the strip as the browser draws it; what is not a number is null."""
    return {
        "study": found.study,
        "starts": found.window_start_s.tolist(),
        "strips": [
            {
                "modality": strip.modality.value,
                "flags": list(strip.flag_w),
                "scores": [float(score) if np.isfinite(score) else None for score in strip.score_w],
                "flag": strip.flag,
                "why": strip.why,
            }
            for strip in found.strips
        ],
        "people": found.other_people,
        "windows": found.other_windows,
        "notes": [printable(note) for note in found.notes if SIMULATED_WORDS not in note],  # the page says that already
    }


def _opinion(home: Home, study: str, epoch: int, named: str) -> dict[str, Any]:
    """Return the second opinion, or by what name an encoder trained on simulated signals can be asked for one."""
    shelf = Shelf(home.models)
    with Library(home) as library:
        simulated_recording = library.study(study).simulated
    encoder = named or first_choice(shelf)
    if encoder is None:
        offered = offered_by_name(shelf) if simulated_recording else None
        said = "No encoder trained on real recordings is on the shelf: fetch one with: sleepfm models fetch official."
        return {"study": study, "epoch": epoch, "offer": offered, "words": said}
    found = in_resident(home, second_opinion, encoder, study, epoch)
    return {
        "study": study,
        "epoch": epoch,
        "encoder": encoder,
        "counts": {str(int(stage)): count for stage, count in found.counts.items()},
        "words": opinion_words(found, simulated=simulated_recording),
        "note": printable(sentences(found.notes)),
    }


def _encoder(request: Request) -> str:
    encoder = request.query_params.get("encoder", "")
    if not encoder or len(encoder) > 100:
        raise RequestError("the request names no encoder")
    return encoder


def _modalities(request: Request) -> list[Modality]:
    named = request.query_params.get("modalities", "").split(".")
    try:
        return list(dict.fromkeys(Modality(name) for name in named))
    except ValueError:
        raise RequestError(f"modalities must be some of {', '.join(Modality)}, joined by a full stop") from None
