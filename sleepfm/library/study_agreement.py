"""How well the modalities of one study agree: a free quality strip that shows a mislabelled, swapped or failing modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sleepfm.home import Home
from sleepfm.vocabulary import Modality

Flag = Literal["good", "doubtful", "alarm"]


@dataclass(frozen=True, eq=False)
class ModalityStrip:
    """One modality over the night.

    Attributes
    ----------
    modality
        As the study's channels are labelled.
    score_w
        (window,) 0 (nothing agrees) to 1; NaN where the modality has no usable window.
    flag_w
        (window,) the flag of each window; "" where the modality has no usable window.
    flag
        Of the whole night.
    why
        One sentence for people.
    """

    modality: Modality
    score_w: np.ndarray
    flag_w: tuple[Flag | Literal[""], ...]
    flag: Flag
    why: str


@dataclass(frozen=True, eq=False)
class StudyAgreement:
    """The modalities of one study beside each other and beside those of other people.

    Attributes
    ----------
    study, encoder
        Ids.
    window_start_s
        (window,) seconds from the recording's start.
    rank_w
        By (query, target): (window,) rank of the true partner among the night's own windows, 1 is best, ties count half; NaN
        where one of the two is missing.
    candidates
        By (query, target): how many windows stood in the race.
    strips
        One a modality that the study has, in the vocabulary's order.
    other_people, other_windows
        With whom the study was compared.
    notes
        What a reader must know.
    """

    study: str
    encoder: str
    window_start_s: np.ndarray
    rank_w: dict[tuple[Modality, Modality], np.ndarray]
    candidates: dict[tuple[Modality, Modality], int]
    strips: tuple[ModalityStrip, ...]
    other_people: int
    other_windows: int
    notes: tuple[str, ...]


def study_agreement(home: Home, encoder: str, study: str) -> StudyAgreement:
    """Compare the modalities of a study (numpy only: no torch is loaded).

    Parameters
    ----------
    home
        Where the library is.
    encoder
        The encoder's name on the shelf; the study must be in its index of windows.
    study
        Id.

    Raises
    ------
    RequestError
        No such study or encoder, or the study is not in the encoder's index.
    """
    raise NotImplementedError
