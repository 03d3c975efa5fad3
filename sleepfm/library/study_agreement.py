"""How well the modalities of one study agree: a free quality strip that shows a mislabelled, swapped or failing modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sleepfm.analysis.modality_agreement import (
    FEWEST_PEOPLE,
    FEWEST_WINDOWS,
    Flag,
    Judgement,
    Others,
    gather_others,
    judge,
    partner_ranks,
)
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library.comparable import comparable_studies, unnamed_note
from sleepfm.library.embedding_index import Block, EmbeddingIndex
from sleepfm.library.encoder_choice import choose_encoder
from sleepfm.library.facts import person
from sleepfm.library.library import Library
from sleepfm.models.card import SIMULATED
from sleepfm.models.shelf import Shelf
from sleepfm.vocabulary import WINDOW_S, Modality

MODALITIES: tuple[Modality, ...] = tuple(Modality)
MOST_PEOPLE = 50
"""So many other people say what is usual; more would only take longer."""
FEW_PEOPLE = 20
"""With fewer, good nights light up now and then (150 simulated nights of 2 h: 6 alarms and 13 doubtful with 6 people, 0 and 16
with 10, 0 and 2 with 20 or 50)."""


@dataclass(frozen=True, eq=False)
class ModalityStrip:
    """One modality over the night.

    Attributes
    ----------
    modality
        As the study's channels are labelled.
    score_w
        (window,) 1 as in other people's nights, 0 where nothing agrees (`sleepfm.analysis.modality_agreement`); NaN where it
        cannot be judged.
    flag_w
        (window,) the flag of each window; "" where it cannot be judged.
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
        One for each modality of which the recording has channels, in the vocabulary's order.
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
    entry = choose_encoder(Shelf(home.models), encoder)
    with Library(home) as library:
        known = library.study(study)
        index = EmbeddingIndex(library, entry.card.weights_sha256)
        block = index.block(study)
        if block is None:
            raise RequestError(f"{study} is not indexed for {encoder}, or changed since: index it first (`sleepfm index`)")
        subject_of = comparable_studies(library, known)
        chosen = _other_nights(index.blocks(), block, subject_of)
        unit_mwe = _night(index, block)
        others = None
        if len(chosen) >= FEWEST_PEOPLE:
            others = gather_others([_night(index, one) for one in chosen], [subject_of[one.study] for one in chosen])
        named = person(library, study).known_subject
    ranks = partner_ranks(unit_mwe)
    pairs = [(a, b) for a, _ in enumerate(MODALITIES) for b, _ in enumerate(MODALITIES) if ranks.candidates_ab[a, b]]
    notes = (
        simulated_warning(entry.name, simulated_recording=known.simulated) if entry.card.trained_on == SIMULATED else "",
        f"Compared with {len(chosen)} other people only: false alarms are to be expected."
        if others is not None and len(chosen) < FEW_PEOPLE
        else "",
        "" if named else unnamed_note(study),
    )
    return StudyAgreement(
        study=study,
        encoder=encoder,
        window_start_s=np.arange(unit_mwe.shape[1]) * WINDOW_S,
        rank_w={(MODALITIES[a], MODALITIES[b]): ranks.rank_abw[a, b] for a, b in pairs},
        candidates={(MODALITIES[a], MODALITIES[b]): int(ranks.candidates_ab[a, b]) for a, b in pairs},
        strips=_strips(unit_mwe, others, len(chosen), known.modalities),
        other_people=len(chosen),
        other_windows=sum(one.rows for one in chosen),
        notes=tuple(note for note in notes if note),
    )


def _other_nights(blocks: Sequence[Block], own: Block, subject_of: dict[str, str]) -> list[Block]:
    """Return one night each of up to `MOST_PEOPLE` other people, spread evenly; first those with all the study's modalities."""
    of_person: dict[str, Block] = {}
    for block in sorted((one for one in blocks if one.study in subject_of), key=lambda one: one.study):
        subject = subject_of[block.study]
        if subject not in of_person or _shared(block, own) > _shared(of_person[subject], own):
            of_person[subject] = block
    complete = [one for one in of_person.values() if _shared(one, own) == len(own.modalities)]
    partial = [one for one in of_person.values() if _shared(one, own) < len(own.modalities)]
    return [*_spread(complete, MOST_PEOPLE), *_spread(partial, max(MOST_PEOPLE - len(complete), 0))]


def _shared(block: Block, own: Block) -> int:
    return len(set(block.modalities) & set(own.modalities))


def _spread(blocks: list[Block], most: int) -> list[Block]:
    return [blocks[i] for i in np.linspace(0, len(blocks) - 1, min(len(blocks), most)).round().astype(int)]


def _night(index: EmbeddingIndex, block: Block) -> np.ndarray:
    """Return (modality, window, E), NaN where a modality is not usable."""
    rows = {modality: index.rows(block.study, modality) for modality in block.modalities}
    embed_dim = next(iter(rows.values())).shape[1]
    absent = np.full((block.rows, embed_dim), np.nan, np.float32)
    return np.stack([rows.get(modality, absent) for modality in MODALITIES])


def _strips(
    unit_mwe: np.ndarray, others: Others | None, other_people: int, channels: Mapping[str, int]
) -> tuple[ModalityStrip, ...]:
    """Return a strip for each modality that has a usable window, or of which the recording has channels all the same."""
    nothing_w, no_flags = np.full(unit_mwe.shape[1], np.nan), ("",) * unit_mwe.shape[1]
    usable_m = np.isfinite(unit_mwe).all(axis=2).any(axis=1)
    found = (None,) * len(MODALITIES) if others is None else judge(unit_mwe, others)
    strips = []
    for m, (modality, one) in enumerate(zip(MODALITIES, found, strict=True)):
        if one is not None and others is not None:
            why = _why(m, one, found, others) if one.judged else _why_not_judged(m, others)
            strips.append(ModalityStrip(modality, one.score_w, tuple(flag or "" for flag in one.flag_w), one.flag, why))
        elif usable_m[m]:
            why = f"Not enough other nights to compare: {_people(other_people)} in the index, {FEWEST_PEOPLE} are needed."
            strips.append(ModalityStrip(modality, nothing_w, no_flags, Flag.DOUBTFUL, why))
        elif channels.get(modality):
            why = f"There are {modality} channels, but not one could be embedded: failing most of the night, or mislabelled?"
            strips.append(ModalityStrip(modality, nothing_w, no_flags, Flag.ALARM, why))
    return tuple(strips)


def _why(m: int, one: Judgement, found: Sequence[Judgement | None], others: Others) -> str:
    name = MODALITIES[m]
    partners = [MODALITIES[p] for p, partner in enumerate(found) if p != m and partner is not None]
    unlike = _unlike_words(m, one, found)
    disagrees = f"{int(one.disagrees_w.sum())} of {one.judged} windows do not go with the other modalities of the night"
    if one.flag is Flag.GOOD:
        agreed = f"goes with {_list(partners)}" if others.agreement[m].tells and np.isfinite(one.agreement_w).any() else ""
        alike = f"looks like other people's {name}" if others.likeness[m].tells else ""
        said = f"{name} {' and '.join(part for part in (agreed, alike) if part)}."
    elif one.unlike and one.disagrees:
        said = f"{disagrees}, and {unlike}: a failing or noisy signal, or another one than {name}?"
    elif one.unlike:
        said = f"{unlike[0].upper()}{unlike[1:]}: mislabelled or swapped?"
    elif one.disagrees and len(partners) == 1:
        said = f"{disagrees}: {name} or {partners[0]} is failing, shifted in time or of another recording; which cannot be told."
    elif one.disagrees:
        said = f"{disagrees}: failing, shifted in time or of another recording?"
    else:
        said = f"Some windows do not go with the other modalities, some look little like other people's {name}."
    return said


def _unlike_words(m: int, one: Judgement, found: Sequence[Judgement | None]) -> str:
    like = _mostly_like(m, one)
    count = f"{int(one.unlike_w.sum())} of {one.judged} windows"
    if like is None:
        return f"{count} look little like other people's {MODALITIES[m]}"
    words = f"{count} look more like other people's {MODALITIES[like]} than their {MODALITIES[m]}"
    other = found[like]
    swapped = other is not None and other.unlike and _mostly_like(like, other) == m
    return f"{words}, and {MODALITIES[like]} like their {MODALITIES[m]}" if swapped else words


def _mostly_like(m: int, one: Judgement) -> int | None:
    """Return which modality most of the unlike windows are like; None when it is not one other."""
    like_u = one.like_w[one.unlike_w]
    counts = np.bincount(like_u[like_u >= 0], minlength=len(MODALITIES))
    most = int(counts.argmax())
    return most if most != m and counts[most] > like_u.size / 2 else None


def _why_not_judged(m: int, others: Others) -> str:
    name, fewest = MODALITIES[m], min(others.agreement[m].people, others.likeness[m].people)
    if fewest < FEWEST_PEOPLE:
        return f"Not enough other nights to compare: {_people(fewest)} with {name} in the index, {FEWEST_PEOPLE} are needed."
    if not others.agreement[m].tells and not others.likeness[m].tells:
        return f"This encoder finds {name} no better than chance in other people's nights: nothing can be said of it."
    return f"Fewer than {FEWEST_WINDOWS} windows, or no other modality to compare with."


def _people(count: int) -> str:
    return f"{count} other {'person' if count == 1 else 'people'}"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
