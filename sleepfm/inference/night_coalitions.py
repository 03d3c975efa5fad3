"""What a disease head says of one night when only some of its modalities, or of its 5-min windows, are there.

The head runs once over all coalitions; what it made of every window is kept, so that other weights of the windows (a bootstrap)
and other ages and sexes cost next to nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from sleepfm.analysis.shapley import members
from sleepfm.errors import ModelError
from sleepfm.inference.coalition_pooling import CoalitionPooling, workers
from sleepfm.inference.device import Precision, available_cores
from sleepfm.models.heads import DiseaseHead, run_lstm
from sleepfm.models.networks import Model
from sleepfm.models.risk_heads import DemographicsHead, NightMLP
from sleepfm.progress import Progress, silent
from sleepfm.vocabulary import Modality

_SEQUENCES_AT_A_TIME = 4
"""Nights that one thread's LSTM works on at once: more is no quicker, and asks more memory."""


@dataclass(frozen=True, eq=False)
class People:
    """Over whose ages and sexes a score is averaged.

    Attributes
    ----------
    coded_n2
        (person, 2) age and sex as the head takes them. (0, 2): the part of the score that age and sex decide is left out, which
        only a head with `additive_demographics` allows.
    share_n
        (person,) how much each counts; they add up to 1.
    """

    coded_n2: np.ndarray
    share_n: np.ndarray

    @classmethod
    def one(cls, age: float, sex: float) -> People:
        """Return a single person, coded."""
        return cls(np.array([[age, sex]]), np.ones(1))

    @classmethod
    def nobody(cls) -> People:
        """Return nobody: age and sex are left out, or the head takes neither."""
        return cls(np.empty((0, 2)), np.empty(0))


class NightCoalitions(ABC):
    """One night under a head.

    Attributes
    ----------
    modalities
        The players of a coalition: those of the night that the head looks at. Bit i of a coalition's number stands for the i-th.
    windows
        Number of windows.
    additive_demographics
        Whether age and sex change every coalition's score by the same number.
    """

    modalities: tuple[Modality, ...]
    windows: int
    additive_demographics: bool

    @property
    def coalitions(self) -> int:
        """How many there are, the empty one among them."""
        return 1 << len(self.modalities)

    @abstractmethod
    def values(self, weights_bw: np.ndarray, people: Sequence[People]) -> np.ndarray:
        """Return the score of every coalition.

        Parameters
        ----------
        weights_bw
            (night, window) how often each window stands in a night; every row holds at least one.
        people
            Groups of them: a score is the mean over a group.

        Returns
        -------
        np.ndarray
            value_bgck, (night, group, coalition, condition) float64.
        """

    @abstractmethod
    def occluded(self, people: People, progress: Progress = silent) -> np.ndarray:
        """Return (window, condition) the score of all modalities with one window cut out of the night.

        Parameters
        ----------
        people
            One group, as of `values`.
        """


def night_coalitions(
    model: Model,
    rows: dict[Modality, np.ndarray],
    window_n: np.ndarray,
    *,
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> NightCoalitions:
    """Run a head over all coalitions of a night.

    Parameters
    ----------
    model
        A disease head.
    rows
        (token, E) float32 of each modality that is there, finite.
    window_n
        (token,) the window of each token, from 0, rising, none left out.
    precision
        Of the widest matrix products of coalitions that lack a modality (see `CoalitionPooling`).

    Raises
    ------
    ModelError
        When the network is none that can be taken apart.
    """
    head: nn.Module = model.network
    if isinstance(head, DiseaseHead) and head.pooling == "per_sample":
        return _RecurrentNight(head, rows, window_n, precision, progress)
    if isinstance(head, NightMLP):
        return _MeanNight(head, rows, window_n)
    if isinstance(head, DemographicsHead):
        return _NoNight(head, int(window_n[-1]) + 1)
    raise ModelError(f"{model.card.name} ({model.card.architecture}): this network's answers cannot be taken apart by modality")


def _sums(x_xne: Tensor, counts_w: np.ndarray) -> Tensor:
    """Return (x, window, E) float64 sums over the tokens of each window of (x, token, E)."""
    return torch.stack([part.sum(dim=1, dtype=torch.float64) for part in x_xne.split(counts_w.tolist(), dim=1)], dim=1)


def _weighted(sums_xwe: Tensor, counts_w: np.ndarray, weights_bw: np.ndarray) -> Tensor:
    """Return (night, x, E) means over the windows, each counted as often as its weight says."""
    tokens_b11 = torch.from_numpy(weights_bw @ counts_w.astype(np.float64))[:, None, None]
    return torch.einsum("bw,xwe->bxe", torch.from_numpy(weights_bw.astype(np.float64)), sums_xwe) / tokens_b11


class _RecurrentNight(NightCoalitions):
    """Of `DiseaseHead`: the score is a linear function of an LSTM's mean output over the tokens, plus one of age and sex."""

    additive_demographics = True

    def __init__(
        self, head: DiseaseHead, rows: dict[Modality, np.ndarray], window_n: np.ndarray, precision: Precision, progress: Progress
    ) -> None:
        self.modalities = tuple(rows)
        self.windows = int(window_n[-1]) + 1
        self._head = head
        self._window_n = torch.from_numpy(window_n)
        self._counts_w = np.bincount(window_n)
        z_mse = torch.from_numpy(np.stack(list(rows.values())))
        coalitions = [np.flatnonzero(in_p).tolist() for in_p in members(len(rows))[1:]]
        with workers() as side_by_side, torch.inference_mode():
            progress(0.0, "every set of signals")
            pooled_cse = CoalitionPooling(head.spatial_pooling, coalitions, precision).night(z_mse, side_by_side)
            progress(0.7, "every set of signals")
            sums = side_by_side(self._window_sums, pooled_cse.split(_SEQUENCES_AT_A_TIME))
        nothing = torch.zeros(1, self.windows, z_mse.shape[2], dtype=torch.float64)
        self._sums_cwe = torch.cat([nothing, *sums])
        self._pooled_se = pooled_cse[-1].clone()
        weight_ki, bias_k = head.disease_heads.weight.detach().double(), head.disease_heads.bias.detach().double()
        self._night_ke, self._person_kd, self._bias_k = weight_ki[:, : z_mse.shape[2]], weight_ki[:, z_mse.shape[2] :], bias_k
        progress(1.0, "every set of signals")

    def _window_sums(self, pooled_cse: Tensor) -> Tensor:
        out_cse = run_lstm(self._head.lstm, pooled_cse, torch.full((len(pooled_cse),), pooled_cse.shape[1]))
        return _sums(out_cse, self._counts_w)

    def values(self, weights_bw: np.ndarray, people: Sequence[People]) -> np.ndarray:
        night_bck = _weighted(self._sums_cwe, self._counts_w, weights_bw) @ self._night_ke.T
        person_gk = torch.stack([self._person(one) for one in people])
        value_bgck: np.ndarray = (night_bck[:, None] + person_gk[None, :, None]).numpy()
        return value_bgck

    def _person(self, people: People) -> Tensor:
        embedding = self._head.demo_embedding
        if embedding is None:
            return self._bias_k
        if not len(people.share_n):
            return torch.zeros_like(self._bias_k)
        with torch.inference_mode():
            embedded_nd = embedding(torch.from_numpy(people.coded_n2.astype(np.float32))).double()
        return self._bias_k + self._person_kd @ (torch.from_numpy(people.share_n) @ embedded_nd.clone())

    def occluded(self, people: People, progress: Progress = silent) -> np.ndarray:
        night_we = torch.empty(self.windows, self._pooled_se.shape[1], dtype=torch.float64)
        groups = torch.arange(self.windows).split(_SEQUENCES_AT_A_TIME)
        step = available_cores()
        with workers() as side_by_side:
            for first in range(0, len(groups), step):
                progress(first / len(groups), "the night without each window")
                here = groups[first : first + step]
                for group, made_we in zip(here, side_by_side(self._without, here), strict=True):
                    night_we[group] = made_we
        value_wk: np.ndarray = (night_we @ self._night_ke.T + self._person(people)).numpy()
        progress(1.0, "the night without each window")
        return value_wk

    def _without(self, windows: Tensor) -> Tensor:
        """Return (window, E) the night's mean with each of these windows cut out of the sequence that the LSTM runs over."""
        left = [self._pooled_se[self._window_n != window] for window in windows]
        length_b = torch.tensor([len(one) for one in left])
        padded_bse = nn.utils.rnn.pad_sequence(left, batch_first=True)
        if not padded_bse.shape[1]:
            return torch.zeros(len(left), self._pooled_se.shape[1], dtype=torch.float64)  # a night of one window: nothing is left
        out_bse = run_lstm(self._head.lstm, padded_bse, length_b)
        there_bs1 = (torch.arange(out_bse.shape[1]) < length_b[:, None]).unsqueeze(-1)
        return (out_bse.double() * there_bs1).sum(dim=1) / length_b.clamp(min=1).unsqueeze(-1)


class _MeanNight(NightCoalitions):
    """Of `NightMLP`: two layers on the mean token of each modality, which modalities are there, and age and sex."""

    additive_demographics = False

    def __init__(self, head: NightMLP, rows: dict[Modality, np.ndarray], window_n: np.ndarray) -> None:
        self.modalities = tuple(rows)
        self.windows = int(window_n[-1]) + 1
        self.additive_demographics = not head.demographics
        self._counts_w = np.bincount(window_n)
        self._sums_mwe = _sums(torch.from_numpy(np.stack(list(rows.values()))), self._counts_w)
        self._in_cm = torch.from_numpy(members(len(rows))).double()
        self._head = head
        first, last = cast(nn.Linear, head.network[0]), cast(nn.Linear, head.network[-1])
        weight_hi = first.weight.detach().double()
        width = self._sums_mwe.shape[2]
        night_hme, there_hm = (
            weight_hi[:, : len(Modality) * width],
            weight_hi[:, len(Modality) * width : len(Modality) * (width + 1)],
        )
        places = [list(Modality).index(modality) for modality in rows]
        self._night_mhe = night_hme.unflatten(1, (len(Modality), width))[:, places].transpose(0, 1)
        self._there_mh = there_hm[:, places].T
        self._person_h2 = weight_hi[:, len(Modality) * (width + 1) :]
        self._bias_h = first.bias.detach().double()
        self._out_kh, self._out_k = last.weight.detach().double(), last.bias.detach().double()

    def values(self, weights_bw: np.ndarray, people: Sequence[People]) -> np.ndarray:
        hidden_bch = self._hidden(weights_bw)
        value_bgck: np.ndarray = np.stack([self._scores(hidden_bch, one).numpy() for one in people], axis=1)
        return value_bgck

    def _hidden(self, weights_bw: np.ndarray) -> Tensor:
        """Return (night, coalition, hidden) what the first layer makes of the signals."""
        mean_bme = _weighted(self._sums_mwe, self._counts_w, weights_bw)
        norm = self._head.layer_norm
        weight, bias = norm.weight.detach().double(), norm.bias.detach().double()
        normal_bme = nn.functional.layer_norm(mean_bme, norm.normalized_shape, weight, bias, norm.eps)
        part_bmh = torch.einsum("bme,mhe->bmh", normal_bme, self._night_mhe) + self._there_mh
        return torch.einsum("cm,bmh->bch", self._in_cm, part_bmh) + self._bias_h

    def _scores(self, hidden_bch: Tensor, people: People) -> Tensor:
        if self._head.demographics:
            # the last layer is linear: a mean over people can be taken before it
            person_nh = torch.from_numpy(people.coded_n2) @ self._person_h2.T
            share_n = torch.from_numpy(people.share_n)
            active_bch = torch.stack([share_n @ (one_ch[:, None] + person_nh).relu() for one_ch in hidden_bch])
        else:
            active_bch = hidden_bch.relu()
        return active_bch @ self._out_kh.T + self._out_k

    def occluded(self, people: People, progress: Progress = silent) -> np.ndarray:
        progress(0.0, "the night without each window")
        if self.windows == 1:
            return self.values(np.ones((1, 1)), [people])[0, 0, :1]  # nothing of the night is left
        value_wk: np.ndarray = self.values(1.0 - np.eye(self.windows), [people])[:, 0, -1]
        return value_wk


class _NoNight(NightCoalitions):
    """Of `DemographicsHead`: no signal is looked at, the empty coalition is the only one."""

    additive_demographics = False
    modalities = ()

    def __init__(self, head: DemographicsHead, windows: int) -> None:
        self.windows = windows
        self._head = head

    def values(self, weights_bw: np.ndarray, people: Sequence[People]) -> np.ndarray:
        with torch.inference_mode():
            score_gk = np.stack([self._score(one) for one in people])
        return np.broadcast_to(score_gk[None, :, None], (len(weights_bw), len(people), 1, score_gk.shape[1])).copy()

    def _score(self, people: People) -> np.ndarray:
        score_nk = self._head(None, None, torch.from_numpy(people.coded_n2.astype(np.float32)))
        score_k: np.ndarray = people.share_n @ score_nk.double().numpy()
        return score_k

    def occluded(self, people: People, progress: Progress = silent) -> np.ndarray:  # noqa: ARG002 - nothing to wait for
        with torch.inference_mode():
            return np.tile(self._score(people), (self.windows, 1))
