"""The numbers of `sleepfm evaluate retrieval`, on the library's index of windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.encoder_choice import choose_encoder
from sleepfm.library.facts import people
from sleepfm.library.library import Library
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part, silent
from sleepfm.vocabulary import Modality

CANDIDATES = (1_000, 10_000, 90_000)


def library_retrieval(
    home: Home,
    encoder: str,
    studies: Sequence[str] | None = None,
    candidates: Sequence[int] = CANDIDATES,
    *,
    progress: Progress = silent,
) -> dict[str, object]:
    """Return what `sleepfm evaluate retrieval` writes, for the windows of the index (heavy: for a job or the command line).

    Studies of people that the encoder was pretrained on are kept out of the numbers where its run is in the home, and a warning
    says so where it is not.

    Parameters
    ----------
    home
        Where the library is.
    encoder
        Its name on the shelf.
    studies
        Ids; None for all that are in the index.
    candidates
        Sizes at which to report.

    Returns
    -------
    dict
        The evaluation's JSON; `pairs`: "BAS>EKG": top1, top10, median_rank, intervals, n and chance, among `candidates`.

    Raises
    ------
    RequestError
        A study is not in the index, nothing is held out, or no window has two modalities.
    """
    from sleepfm.evaluation.held_out import HeldOut, seen_in_pretraining  # noqa: PLC0415 - a page may know this module
    from sleepfm.evaluation.retrieval import evaluate_retrieval  # noqa: PLC0415
    from sleepfm.evaluation.settings import EvaluationSettings  # noqa: PLC0415
    from sleepfm.evaluation.training_people import trained_on  # noqa: PLC0415

    shelf = Shelf(home.models)
    entry = choose_encoder(shelf, encoder)
    with Library(home) as library:
        index = EmbeddingIndex(library, entry.card.weights_sha256)
        blocks = {block.study: block for block in index.blocks()}
        wanted = tuple(blocks) if studies is None else tuple(dict.fromkeys(studies))
        for study in wanted:
            if study not in blocks:
                raise RequestError(f"{study} is not indexed for {entry.name}, or changed since: index it first (`sleepfm index`)")
        nights = []
        for number, study in enumerate(wanted):
            nights.append(np.stack([index.rows(study, modality) for modality in Modality]))
            progress(0.1 * (number + 1) / len(wanted), "reading the index")
        person_of = people(library, wanted)
        simulated = any(library.study(study).simulated for study in wanted)
    if not nights:
        raise RequestError(f"no study is indexed for {entry.name} yet: run `sleepfm index --model {entry.name}` first")
    subject_of = {study: person_of[study].subject for study in wanted}
    pretraining = trained_on(entry.card, home.runs, (), shelf)
    seen = seen_in_pretraining(wanted, {**dict(pretraining.subject_of), **subject_of}, pretraining.studies)
    held_out = HeldOut(
        recordings=wanted,
        subjects=tuple(subject_of[study] for study in wanted),
        seen=seen if pretraining.known else None,
        simulated=simulated,
        source=f"index of {entry.name}",
    )
    z_mne = np.concatenate(nights, axis=1)
    recording_n = np.repeat(np.array(wanted, dtype=str), [night.shape[1] for night in nights])
    # a window without any usable modality is no query and no candidate
    present_mn = np.isfinite(z_mne).all(axis=2)
    return evaluate_retrieval(
        held_out,
        z_mne,
        present_mn,
        recording_n,
        EvaluationSettings(groups=(), candidates=tuple(candidates)),
        model=entry.name,
        progress=part(progress, 0.1, 1.0),
    ).as_dict()
