"""Running the heads over a night's embeddings: stages per 5 s and per epoch, and log hazards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from sleepfm.errors import ModelError, RecordingError, RequestError
from sleepfm.inference.device import lean_attention, one_thread_each
from sleepfm.inference.embedding_files import Embeddings
from sleepfm.models.heads import DiseaseHead, StagingHead
from sleepfm.models.networks import Model
from sleepfm.progress import Progress, silent
from sleepfm.recording.scorings.likeliest import likeliest_stages, said_of_ties
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import EPOCH_S, TOKEN_S, TOKENS_PER_EPOCH

SHORT_NIGHT_S = 3 * 3600.0
"""Below this a night is shorter than what the heads were made for."""
_SLACK_S = 1e-6


@dataclass(frozen=True)
class Piece:
    """A stretch of tokens that is given to a head, and the part of its output that is kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def pieces(tokens: int, longest: int) -> list[Piece]:
    """Divide a night into overlapping pieces of at most `longest` tokens.

    Neighbours overlap by at least half a piece, and each keeps its share up to the middle of the overlap, so that a kept token
    has at least a quarter of a piece of context on both sides wherever the night goes on.

    Examples
    --------
    >>> pieces(10, 8)
    [Piece(start=0, stop=8, keep_start=0, keep_stop=5), Piece(start=2, stop=10, keep_start=5, keep_stop=10)]
    """
    if tokens <= longest:
        return [Piece(0, tokens, 0, tokens)]
    count = 1 + math.ceil((tokens - longest) / max(1, longest // 2))
    starts = [round(i * (tokens - longest) / (count - 1)) for i in range(count)]
    cuts = [0, *((left + longest + right) // 2 for left, right in pairwise(starts)), tokens]
    return [Piece(start, start + longest, cuts[i], cuts[i + 1]) for i, start in enumerate(starts)]


def stage_probabilities(embeddings: Embeddings, model: Model, progress: Progress = silent) -> np.ndarray:
    """Return the stages' probabilities of every 5-s token, (n_tokens, 5) float32 in the order of `SCORED_STAGES`.

    Modalities that are absent take no part. A night longer than the head's longest input is worked off in overlapping pieces.

    Raises
    ------
    ModelError
        When the embeddings are not those of the head's encoder.
    RequestError
        When the model is no staging head.
    """
    head = model.network
    if not isinstance(head, StagingHead):
        raise RequestError(f"{model.card.name} is a model for {model.card.task}, not for staging")
    check_fits(embeddings, model)
    parts = []
    for piece in pieces(embeddings.n, int(model.card.parameters["max_seq_length"])):
        with one_thread_each(), lean_attention(), torch.inference_mode():
            z_bmse, mask_bms = _night(embeddings, piece.start, piece.stop)
            kept_sk = head(z_bmse, mask_bms)[0, piece.keep_start - piece.start : piece.keep_stop - piece.start]
        parts.append(torch.softmax(kept_sk, dim=-1).numpy())
        progress(piece.keep_stop / embeddings.n, "staging")
    return np.concatenate(parts)


def epochs_from_tokens(probability_tk: np.ndarray, duration_s: float, gaps: Sequence[tuple[float, float]] = ()) -> np.ndarray:
    """Return the probabilities of every whole 30-s epoch, (n_epochs, 5) float32: the mean over its six tokens.

    An epoch that a gap touches has no probabilities (NaN).
    """
    epochs = min(int((duration_s + _SLACK_S) // EPOCH_S), len(probability_tk) // TOKENS_PER_EPOCH)
    tokens_ejk = probability_tk[: epochs * TOKENS_PER_EPOCH].reshape(epochs, TOKENS_PER_EPOCH, probability_tk.shape[1])
    probability_ek = tokens_ejk.mean(axis=1, dtype=np.float64).astype(np.float32)
    for start_s, stop_s in gaps:
        first = max(0, int((start_s + _SLACK_S) // EPOCH_S))
        probability_ek[first : max(first, math.ceil((stop_s - _SLACK_S) / EPOCH_S))] = np.nan
    return probability_ek


def stage_night(embeddings: Embeddings, model: Model, progress: Progress = silent) -> Scoring:
    """Stage a night.

    Raises
    ------
    RecordingError
        When the recording has no whole 30-s epoch.
    ModelError, RequestError
        As for `stage_probabilities`.
    """
    origin = embeddings.origin
    probability_tk = stage_probabilities(embeddings, model, progress)
    probability_ek = epochs_from_tokens(probability_tk, origin.duration_s, origin.gaps)
    if not len(probability_ek):
        raise RecordingError(f"{origin.record_id}: {origin.duration_s:.0f} s long, staging needs at least one whole 30-s epoch")
    known_e = ~np.isnan(probability_ek).any(axis=1)
    stages_e, tied_e = likeliest_stages(probability_ek)
    probability_ek[tied_e] = np.nan
    warnings = [*night_warnings(embeddings), *said_of_ties(tied_e)]
    if not known_e.all():
        warnings.append(f"{int((~known_e).sum())} of {len(known_e)} epochs have a gap; they are Unknown.")
    longest = int(model.card.parameters["max_seq_length"])
    if embeddings.n > longest:
        warnings.append(
            f"The night is longer than the {longest * TOKEN_S / 3600:.1f} h the head takes: staged in overlapping pieces."
        )
    return Scoring(stages_e, probability_ek, scorer=model.card.name, warnings=tuple(warnings))


@dataclass(frozen=True, eq=False)
class NightHazards:
    """What a disease head says of a night.

    Attributes
    ----------
    log_hazard_k
        (condition,) float32, relative: without a baseline hazard they rank people, they are no probabilities.
    start_s, stop_s
        The stretch of the recording that was looked at.
    warnings
        Each a sentence.
    """

    log_hazard_k: np.ndarray
    start_s: float
    stop_s: float
    warnings: tuple[str, ...]


def night_hazards(
    embeddings: Embeddings, model: Model, demographics: tuple[float, float], *, lights_off_s: float | None = None
) -> NightHazards:
    """Return the log hazards of a night.

    Parameters
    ----------
    demographics
        Age and sex as the head takes them (see `DemographicCoding.encode`).
    lights_off_s
        When lights went off, in seconds from the recording's start; None when nobody knows. A head looks at its longest input
        from there (9 h in the published one).

    Raises
    ------
    RequestError
        When the model is no disease head, or lights off lies outside the recording.
    ModelError
        When the embeddings are not those of the head's encoder.
    """
    head = model.network
    if not isinstance(head, DiseaseHead):
        raise RequestError(f"{model.card.name} is a model for {model.card.task}, not for disease")
    check_fits(embeddings, model)
    first, last, warnings = looked_at(embeddings, model, lights_off_s)
    with one_thread_each(), lean_attention(), torch.inference_mode():
        log_hazard_bk = head(*_night(embeddings, first, last), torch.tensor([demographics], dtype=torch.float32))
    stop_s = min(last * TOKEN_S, embeddings.origin.duration_s)
    return NightHazards(log_hazard_bk[0].numpy(), first * TOKEN_S, stop_s, tuple(warnings))


def looked_at(embeddings: Embeddings, model: Model, lights_off_s: float | None) -> tuple[int, int, list[str]]:
    """Return the first token of a night that a disease head looks at, the one after the last, and what to say of it.

    Parameters and errors as for `night_hazards`.
    """
    since_s = lights_off_s or 0.0
    if not 0 <= since_s < embeddings.n * TOKEN_S:  # NaN is none of these either
        raise RequestError(f"{embeddings.origin.record_id}: lights off at {lights_off_s} s lies outside the recording")
    first = math.ceil(since_s / TOKEN_S - _SLACK_S)
    if first >= embeddings.n:
        raise RequestError(f"{embeddings.origin.record_id}: lights off at {lights_off_s} s lies outside the recording")
    last = min(embeddings.n, first + int(model.card.parameters.get("max_seq_length", embeddings.n)))
    warnings = night_warnings(embeddings, first * TOKEN_S)
    if last < embeddings.n:
        since = "lights off" if lights_off_s is not None else "the recording's start"
        warnings.append(
            f"Only the first {(last - first) * TOKEN_S / 3600:.1f} h from {since} were looked at; the head takes no more."
        )
    return first, last, warnings


def night_warnings(embeddings: Embeddings, start_s: float = 0.0) -> list[str]:
    """Return what a reader of the heads' results must know about the night: too short, or without some modality."""
    origin = embeddings.origin
    warnings = []
    length_s = origin.duration_s - start_s
    if length_s < SHORT_NIGHT_S:
        warnings.append(
            f"Only {length_s / 3600:.1f} h were recorded; under {SHORT_NIGHT_S / 3600:.0f} h the result is not reliable."
        )
    warnings += [f"Without {out.modality}: {out.reason}." for out in origin.left_out if not out.label]
    return warnings


def check_fits(embeddings: Embeddings, model: Model) -> None:
    """Raise ModelError when embeddings are not those of a head's encoder, or not per 5 s."""
    link, origin = model.card.encoder, embeddings.origin
    if link is None or link.weights_sha256 != origin.weights_sha256:
        wanted = link.name if link else "another encoder"
        raise ModelError(
            f"{origin.record_id}: its embeddings were made by {origin.model}, but {model.card.name} was made for {wanted}:"
            f" embed the recording with {wanted}"
        )
    if embeddings.row_s != TOKEN_S:
        raise ModelError(f"{origin.record_id}: the heads take embeddings per {TOKEN_S:g} s, not per {embeddings.row_s:g} s")


def _night(embeddings: Embeddings, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the modalities that are there, (1, modality, token, E), and a mask that hides nothing."""
    z_mse = np.stack([rows[start:stop] for rows in embeddings.rows.values()])
    return torch.from_numpy(z_mse).unsqueeze(0), torch.zeros(1, *z_mse.shape[:2], dtype=torch.bool)
