"""Testing encoders by retrieval: the whole 5-min windows of the test recordings, each modality looked up in each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.evaluation.evaluation import Evaluation
from sleepfm.evaluation.experiments import pretraining_fractions
from sleepfm.evaluation.held_out import HeldOut
from sleepfm.evaluation.material import Material
from sleepfm.evaluation.retrieval import evaluate_retrieval
from sleepfm.evaluation.run_settings import EvaluateRetrieval
from sleepfm.evaluation.tables import Scores, comparison_section
from sleepfm.inference.embedding_files import Embeddings, read_embeddings
from sleepfm.progress import Progress, part
from sleepfm.training.night_embeddings import find_encoder
from sleepfm.training.night_labels import Notes
from sleepfm.training.nights import LabelledNight, Night
from sleepfm.vocabulary import TOKEN_SAMPLES, WINDOW_S, WINDOW_SAMPLES, Modality


class NoLabels:
    """Reads nothing: retrieval asks only for signals."""

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Return the night as it is."""
        return LabelledNight(night), ()


@dataclass(frozen=True)
class Windows:
    """The whole windows of some nights.

    Attributes
    ----------
    z_mne
        (modality, window, E) float32, zeros where the modality is absent.
    present_mn
        (modality, window) bool.
    recording_n
        (window,) study ids.
    """

    z_mne: np.ndarray
    present_mn: np.ndarray
    recording_n: np.ndarray


def read_windows(nights: Mapping[str, LabelledNight]) -> Windows:
    """Return the windows that are full 5 min long and that no gap touches; RequestError when there is none."""
    z, present, recordings = [], [], []
    for study, labelled in nights.items():
        path = labelled.night.path
        embeddings = read_embeddings(path.parent.parent / "5min" / path.name)
        kept = np.flatnonzero(_whole(embeddings))
        embed_dim = next(iter(embeddings.rows.values())).shape[1]
        z_mne = np.zeros((len(Modality), kept.size, embed_dim), np.float32)
        present_mn = np.zeros((len(Modality), kept.size), bool)
        for m, modality in enumerate(Modality):
            if modality in embeddings.rows:
                z_mne[m], present_mn[m] = embeddings.rows[modality][kept], True
        z.append(z_mne)
        present.append(present_mn)
        recordings += [study] * kept.size
    if not recordings:
        raise RequestError("no recording of the test set has a whole 5-min window")
    return Windows(np.concatenate(z, axis=1), np.concatenate(present, axis=1), np.array(recordings, dtype=str))


def _whole(embeddings: Embeddings) -> np.ndarray:
    whole_n = np.ones(embeddings.n, dtype=bool)
    whole_n[-1] = embeddings.origin.last_window_tokens == WINDOW_SAMPLES // TOKEN_SAMPLES
    starts_n = np.arange(embeddings.n) * WINDOW_S
    for start_s, stop_s in embeddings.origin.gaps:
        whole_n &= (starts_n + WINDOW_S <= start_s) | (starts_n >= stop_s)
    return whole_n


def run_retrieval(settings: EvaluateRetrieval, material: Material, progress: Progress) -> Evaluation:
    """Test an encoder, and others beside it on the same recordings.

    Raises
    ------
    RequestError
        An encoder is not on the shelf, or nothing is left to test.
    """
    gathered = material.nights(NoLabels(), material.encoder, material.cohort.studies, part(progress, 0.0, 0.4))
    material.refuse_nothing(gathered)
    held_out = material.held_out(gathered)
    windows = read_windows({study: gathered.nights[study] for study in held_out.recordings})
    evaluation = _evaluate(settings, held_out, windows, material.encoder.name, part(progress, 0.4, 0.6))

    def scores_of(name: str) -> Scores:
        encoder = find_encoder(name, material.shelf)
        found = material.nights(NoLabels(), encoder, held_out.recordings, part(progress, 0.6, 0.8))
        return mean_top1(_evaluate(settings, held_out, read_windows(found.nights), name, part(progress, 0.8, 0.9)))

    sections = []
    if settings.others:
        cases = {label: scores_of(name) for label, name in settings.others.items()}
        cases = {material.encoder.name: mean_top1(evaluation), **cases}
        section = comparison_section(cases, next(iter(mean_top1(evaluation))))
        sections += [] if section is None else [section]
    if settings.pretrain_fractions:
        names = dict(settings.pretrain_fractions)
        plotted = next(iter(mean_top1(evaluation)))
        ask = pretraining_fractions(
            lambda fraction: scores_of(names[fraction]), plotted=plotted, fractions=sorted(names), progress=part(progress, 0.9, 1)
        )
        sections.append(ask)
    return material.finished(evaluation.with_sections(*sections), gathered)


def mean_top1(evaluation: Evaluation) -> Scores:
    """Return the headline numbers that do not depend on which pair is the worst."""
    return {line.name: line.estimate for line in evaluation.headline if "worst pair" not in line.name}


def _evaluate(settings: EvaluateRetrieval, held_out: HeldOut, windows: Windows, name: str, progress: Progress) -> Evaluation:
    return evaluate_retrieval(
        held_out, windows.z_mne, windows.present_mn, windows.recording_n, settings.evaluation, model=name, progress=progress
    )
