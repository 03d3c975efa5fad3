"""What heads say of whole nights, beside what is known of them: plain arrays for evaluation, with any choice of modalities."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sleepfm.analysis.breathing import SEVERITIES
from sleepfm.errors import ModelError, RequestError
from sleepfm.inference.device import Device, lean_attention, place
from sleepfm.inference.heads import epochs_from_tokens, pieces
from sleepfm.models.card import Condition, Task
from sleepfm.models.networks import Model
from sleepfm.progress import Progress, silent
from sleepfm.training.head_learners import takes_demographics
from sleepfm.training.night_labels import AHI, DEMOGRAPHICS, SDB, STAGES
from sleepfm.training.nights import LabelledNight, Night
from sleepfm.vocabulary import SCORED_STAGES, TOKENS_PER_EPOCH, Modality


@dataclass(frozen=True, eq=False)
class NightStages:
    """A night's stages.

    Attributes
    ----------
    truth_e
        (epoch,) int8 as scored, -1 Unknown.
    probability_ek
        (epoch, 5) in the order of `SCORED_STAGES`; NaN where a gap is, or when no modality that was asked for is there.
    """

    study: str
    subject: str
    truth_e: np.ndarray
    probability_ek: np.ndarray


@dataclass(frozen=True, eq=False)
class NightBreathing:
    """A night's sleep-disordered breathing (SDB).

    Attributes
    ----------
    sdb_truth_e
        (epoch,) int8: 1 with an event, 0 without, -1 not scored.
    sdb_probability_e
        (epoch,) NaN where a gap is, or when no modality that was asked for is there.
    severity_probability_k
        (4,) of `sleepfm.analysis.breathing.SEVERITIES`.
    presence_probability
        Of an AHI of at least 15.
    ahi
        As scored; NaN where unknown.
    """

    study: str
    subject: str
    sdb_truth_e: np.ndarray
    sdb_probability_e: np.ndarray
    severity_probability_k: np.ndarray
    presence_probability: float
    ahi: float


@dataclass(frozen=True, eq=False)
class Hazards:
    """Log hazards of nights.

    Attributes
    ----------
    studies, subjects
        Of each night.
    conditions
        Of each column.
    log_hazard_nk
        (night, condition) float32; NaN where no modality that was asked for is there.
    """

    studies: tuple[str, ...]
    subjects: tuple[str, ...]
    conditions: tuple[Condition, ...]
    log_hazard_nk: np.ndarray


def predict_stages(
    model: Model,
    nights: Sequence[LabelledNight],
    *,
    modalities: Collection[Modality] | None = None,
    device: Device = "auto",
    progress: Progress = silent,
) -> list[NightStages]:
    """Stage nights.

    Parameters
    ----------
    model
        A staging head.
    nights
        With the embeddings of the head's encoder, and labels by `StageReader` or `BreathingReader`.
    modalities
        What the head may see; None for all.

    Raises
    ------
    RequestError
        The model is no staging head.
    ModelError
        The embeddings are another encoder's.
    """
    _check(model, Task.STAGING, nights)
    network = on_device(model.network, device)
    longest = int(model.card.parameters["max_seq_length"])
    staged = []
    for number, labelled in enumerate(nights):
        night = labelled.night
        progress(number / len(nights), f"staging {night.study}")
        if seen(night, modalities):
            probability_tk = np.concatenate([
                torch.softmax(
                    run_head(network, night, piece.start, piece.stop, modalities)[0][
                        0, piece.keep_start - piece.start : piece.keep_stop - piece.start
                    ],
                    dim=-1,
                ).numpy()
                for piece in pieces(night.tokens, longest)
            ])  # fmt: skip
        else:
            probability_tk = np.full((night.tokens, len(SCORED_STAGES)), np.nan, np.float32)
        probability_ek = epochs_from_tokens(probability_tk, night.origin.duration_s, night.origin.gaps)
        staged.append(NightStages(night.study, night.subject, labelled.by_epoch[STAGES][: len(probability_ek)], probability_ek))
    return staged


def predict_breathing(
    model: Model,
    nights: Sequence[LabelledNight],
    *,
    modalities: Collection[Modality] | None = None,
    device: Device = "auto",
    progress: Progress = silent,
) -> list[NightBreathing]:
    """Judge the breathing of nights; parameters and errors as for `predict_stages`, labels by `BreathingReader`.

    A night longer than the head's longest input is judged in overlapping pieces; its severity is their mean.
    """
    _check(model, Task.BREATHING, nights)
    network = on_device(model.network, device)
    return night_breathing(network, nights, model.card.parameters, modalities=modalities, progress=progress)


def night_breathing(
    network: nn.Module,
    nights: Sequence[LabelledNight],
    parameters: Mapping[str, int | float],
    *,
    modalities: Collection[Modality] | None = None,
    progress: Progress = silent,
) -> list[NightBreathing]:
    """Judge the breathing of nights by a network with these numbers that stands on its device; see `predict_breathing`."""
    longest = int(parameters["max_seq_length"]) // TOKENS_PER_EPOCH
    judged = []
    for number, labelled in enumerate(nights):
        night = labelled.night
        progress(number / len(nights), f"breathing of {night.study}")
        sdb_e = np.full(night.epochs, np.nan, np.float32)
        severity_k, presence = np.full(len(SEVERITIES), np.nan), np.nan
        if seen(night, modalities):
            parts, severities, presences, lengths = [], [], [], []
            for piece in pieces(-(-night.tokens // TOKENS_PER_EPOCH), longest):
                last = min(piece.stop * TOKENS_PER_EPOCH, night.tokens)
                sdb_bn, severity_bk, presence_b = run_head(network, night, piece.start * TOKENS_PER_EPOCH, last, modalities)
                parts.append(torch.sigmoid(sdb_bn)[0, piece.keep_start - piece.start : piece.keep_stop - piece.start].numpy())
                severities.append(torch.softmax(severity_bk, dim=1)[0].numpy())
                presences.append(float(torch.sigmoid(presence_b)[0]))
                lengths.append(piece.keep_stop - piece.keep_start)
            sdb_e[:] = np.concatenate(parts)[: night.epochs]
            sdb_e[~night.known_epochs()] = np.nan
            severity_k = np.average(severities, axis=0, weights=lengths)
            presence = float(np.average(presences, weights=lengths))
        judged.append(
            NightBreathing(
                night.study,
                night.subject,
                sdb_truth_e=labelled.by_epoch[SDB],
                sdb_probability_e=sdb_e,
                severity_probability_k=severity_k,
                presence_probability=presence,
                ahi=float(labelled.by_night[AHI]),
            )
        )
    return judged


def predict_hazards(
    model: Model,
    nights: Sequence[LabelledNight],
    *,
    modalities: Collection[Modality] | None = None,
    device: Device = "auto",
    progress: Progress = silent,
) -> Hazards:
    """Return the log hazards of nights, of each the first part that the head takes at once.

    Parameters
    ----------
    model
        A disease head.
    nights
        With the embeddings of the head's encoder, and labels by `FollowUpReader`, with demographics when the head takes them.
    modalities
        What the head may see; None for all.

    Raises
    ------
    RequestError
        The model is no disease head, or takes age and sex that the nights lack.
    ModelError
        The embeddings are another encoder's.
    """
    _check(model, Task.DISEASE, nights)
    network = on_device(model.network, device)
    conditions = tuple(
        label if isinstance(label, Condition) else Condition(phecode=str(k), phenotype="unknown")
        for k, label in enumerate(model.card.labels if model.card.labels != "unknown" else ())
    )
    log_hazard_nk = night_log_hazards(network, nights, model.card.parameters, modalities=modalities, progress=progress)
    return Hazards(
        tuple(one.night.study for one in nights), tuple(one.night.subject for one in nights), conditions, log_hazard_nk
    )


def night_log_hazards(
    network: nn.Module,
    nights: Sequence[LabelledNight],
    parameters: Mapping[str, int | float],
    *,
    modalities: Collection[Modality] | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Return (night, condition) float32, of a network with these numbers that stands on its device; see `predict_hazards`."""
    log_hazard_nk = np.full((len(nights), int(parameters["num_classes"])), np.nan, np.float32)
    for number, labelled in enumerate(nights):
        progress(number / len(nights), f"hazards of {labelled.night.study}")
        if seen(labelled.night, modalities):
            last = min(labelled.night.tokens, int(parameters.get("max_seq_length", labelled.night.tokens)))
            more = (torch.from_numpy(labelled.by_night[DEMOGRAPHICS])[None],) if takes_demographics(network) else ()
            log_hazard_nk[number] = run_head(network, labelled.night, 0, last, modalities, *more)[0][0].numpy()
    return log_hazard_nk


def seen(night: Night, modalities: Collection[Modality] | None) -> tuple[Modality, ...]:
    """Return which modalities of a night a head may see."""
    return tuple(modality for modality in night.modalities if modalities is None or modality in modalities)


def run_head(
    network: nn.Module, night: Night, start: int, stop: int, modalities: Collection[Modality] | None, *more: Tensor
) -> tuple[Tensor, ...]:
    """Return what a head makes of some tokens of a night, on the CPU."""
    allowed = seen(night, modalities)
    device = next(network.parameters()).device
    z_bmse = torch.zeros((1, len(Modality), stop - start, night.embed_dim))
    padding_bms = torch.ones(z_bmse.shape[:3], dtype=torch.bool)
    for modality, rows_se in zip(night.modalities, night.read(start, stop), strict=True):
        if modality in allowed:
            m = list(Modality).index(modality)
            z_bmse[0, m] = torch.from_numpy(rows_se)
            padding_bms[0, m] = False
    with lean_attention(), torch.inference_mode():
        found = network(*(x.to(device) for x in (z_bmse, padding_bms, *more)))
    return tuple(out.float().cpu() for out in (found if isinstance(found, tuple) else (found,)))


def on_device(network: nn.Module, device: Device) -> nn.Module:
    """Return the network, in evaluation mode, where it is to run; the given one stays where it is."""
    where = place(device).device
    return (copy.deepcopy(network).to(where) if where != "cpu" else network).eval()


def _check(model: Model, task: Task, nights: Sequence[LabelledNight]) -> None:
    if model.card.task is not task:
        raise RequestError(f"{model.card.name} is a model for {model.card.task}, not for {task}")
    link = model.card.encoder
    for labelled in nights:
        origin = labelled.night.origin
        if link is None or origin.weights_sha256 != link.weights_sha256:
            raise ModelError(
                f"{labelled.night.study}: its embeddings were made by {origin.model}, but {model.card.name} was made for"
                f" {link.name if link else 'another encoder'}: embed the recording with that"
            )
