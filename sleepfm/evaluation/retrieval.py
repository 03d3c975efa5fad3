"""Evaluation of an encoder by cross-modal retrieval: does RESP of a window find EKG of the same window among N others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import Bootstrap, bootstrap, mean_of
from sleepfm.analysis.retrieval import PairRanks, Retrieval, rank_left_out, rank_partners, score_ranks
from sleepfm.errors import RequestError
from sleepfm.evaluation.evaluation import Cell, Evaluation, Headline, IntervalPlot, Section, Table
from sleepfm.evaluation.held_out import HeldOut, describe, separate
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.evaluation.tables import sections
from sleepfm.progress import Progress, part, silent
from sleepfm.vocabulary import Modality

MODALITIES: tuple[str, ...] = tuple(Modality)
LEFT_OUT = "others"
"""The query that is the mean of all other modalities."""
_PAPER = "48 % top-1 of 90,000 candidates, the mean over pairs, is the 2024 paper's figure (30-s clips, arXiv 2405.17766)."


def evaluate_retrieval(
    held_out: HeldOut,
    z_mne: np.ndarray,
    present_mn: np.ndarray,
    recordings_n: Sequence[str] | np.ndarray,
    settings: EvaluationSettings,
    *,
    model: str,
    modalities: Sequence[str] = MODALITIES,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate retrieval between all ordered pairs of modalities.

    Parameters
    ----------
    held_out
        The test set.
    z_mne
        (modality, window, E) embeddings of 5-min windows.
    present_mn
        (modality, window) whether the recording has that modality there.
    recordings_n
        (window,) the recording of each window; windows of recordings outside the test set are not used.
    settings
        Bootstrap and the sizes at which to report.
    model
        Its name.
    modalities
        What the first axis of `z_mne` means.
    progress
        Called as pairs are done: with 90,000 windows this takes minutes.

    Returns
    -------
    Evaluation
        Its JSON has `candidates` and `pairs` ("BAS>EKG": top1, top10, median_rank) for the largest of the sizes
        in the settings that the test set fills, or for all its windows when it fills none.

    Raises
    ------
    RequestError
        When nothing is left to test, nothing that the encoder has not seen, or no window has two modalities.
    """
    separated = separate(held_out, settings)
    usable = {name for name, counts in zip(held_out.recordings, separated.headline_n, strict=True) if counts}
    recordings_n = np.asarray(recordings_n, dtype=str)
    chosen_n = np.isin(recordings_n, np.array(sorted(usable), dtype=str))
    present_mn = np.asarray(present_mn, dtype=bool)[:, chosen_n]
    if not (present_mn.sum(axis=0) >= 2).any():
        raise RequestError("retrieval needs windows with at least two modalities: none of the test set's windows has them")
    subject_of = dict(zip(held_out.recordings, held_out.subjects, strict=True))
    night_n = recordings_n[chosen_n]
    subject_n = np.array([subject_of[name] for name in night_n], dtype=str)
    windows = np.asarray(z_mne)[:, chosen_n], present_mn, night_n, subject_n
    pairs = rank_partners(*windows, progress=part(progress, 0, 0.7))
    left_out = rank_left_out(*windows, progress=part(progress, 0.7, 1))
    ranked = {f"{modalities[a]}>{modalities[b]}": ranks for (a, b), ranks in pairs.items()}
    ranked |= {f"{LEFT_OUT}>{modalities[m]}": ranks for m, ranks in left_out.items()}
    ranked = {name: ranks for name, ranks in ranked.items() if ranks.window_n.size}
    boot = bootstrap(subject_n, **settings.bootstrap)
    most = max(ranks.window_n.size for ranks in ranked.values())
    sizes = sorted(size for size in settings.candidates if size <= most) or [most]
    by_size = {size: _score(ranked, "everyone", boot, size) for size in sizes}
    others, nights = _score(ranked, "other_subjects", boot), _score(ranked, "same_night", boot)
    skipped = [f"{size:,}" for size in settings.candidates if size > most]
    told = [f"the test set has {most:,} windows: no results for {' and '.join(skipped)} candidates"] if skipped else []
    return Evaluation(
        task="retrieval",
        title="Retrieval between modalities",
        model=model,
        simulated=held_out.simulated,
        data=describe(held_out, separated.headline_n),
        settings=settings.model_dump(mode="json"),
        headline=tuple(line for size in sizes for line in _headline(_pairs_only(by_size[size]), boot)),
        sections=sections(
            *(_size_section(size, found) for size, found in by_size.items()),
            _plot_section(sizes[0], by_size[sizes[0]]),
            Section("Among other people only", _OTHERS, (_table("other_subjects", "Among other people only", others),)),
            Section("Within the night", _NIGHT, (_table("same_night", "Within the night", nights),)),
        ),
        warnings=(*separated.warnings, *told),
        extra={
            "candidates": sizes[-1],
            "pairs": _plain(_pairs_only(by_size[sizes[-1]])),
            "leave_one_out": _plain({name: one for name, one in by_size[sizes[-1]].items() if name.startswith(LEFT_OUT)}),
            "by_candidates": {str(size): _plain(found) for size, found in by_size.items()},
            "other_subjects": _plain(others),
            "same_night": _plain(nights),
        },
    )


_OTHERS = "Candidates are the partner and the windows of other people, so that no other window of the same person is a rival."
_NIGHT = (
    "Candidates are the windows of the same night: person, montage and site give nothing away, only what happened in these five "
    "minutes. The number of candidates is the median night's."
)
_NOTE = (
    "Top-1 is the share of windows whose partner is the most similar of all candidates; a tie counts by the chance of winning "
    "it. Rank 1 is best."
)


def _score(ranked: dict[str, PairRanks], kind: str, boot: Bootstrap, candidates: int | None = None) -> dict[str, Retrieval]:
    queries = np.arange(len(boot.subject_n))
    return {
        name: score_ranks(getattr(ranks, kind), boot.part(np.isin(queries, ranks.window_n)), candidates)
        for name, ranks in ranked.items()
    }


def _pairs_only(found: dict[str, Retrieval]) -> dict[str, Retrieval]:
    return {name: one for name, one in found.items() if not name.startswith(LEFT_OUT)}


def _plain(found: dict[str, Retrieval]) -> dict[str, object]:
    return {name: one.as_dict() for name, one in found.items()}


def _headline(pairs: dict[str, Retrieval], boot: Bootstrap) -> tuple[Headline, Headline]:
    candidates = max(one.candidates for one in pairs.values())
    mean = boot.estimate(mean_of([one.top1_sampled for one in pairs.values()]), reason="a pair has no candidates")
    chance = float(np.mean([one.chance.top1 for one in pairs.values()]))
    name, worst = min(pairs.items(), key=lambda item: -1.0 if item[1].top1.value is None else item[1].top1.value)
    among = f"retrieval top-1 among {candidates:,}"
    return (
        Headline(f"{among}, mean of pairs", mean, "share of windows found at once", chance=chance),
        Headline(f"{among}, worst pair ({name})", worst.top1, "share of windows found at once", chance=worst.chance.top1),
    )


def _size_section(size: int, found: dict[str, Retrieval]) -> Section:
    title = f"Among {size:,} windows"
    text = (
        "Given the embedding of one modality (or the mean of all others), where the same five minutes rank in another modality."
    )
    return Section(title, text, (_table(f"among_{size}", title, found, f"{_NOTE} {_PAPER}"),))


def _table(key: str, title: str, found: dict[str, Retrieval], note: str = _NOTE) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            name, one.candidates, one.n, one.top1.subjects, one.top1, one.chance.top1, one.top10, one.chance.top10,
            one.median_rank, one.chance.median_rank,
        )
        for name, one in found.items()
    ]  # fmt: skip
    columns = (
        "query>target", "candidates", "windows", "people", "top-1", "chance", "top-10", "chance of top-10", "median rank",
        "chance rank",
    )  # fmt: skip
    return Table(key, title, columns, tuple(rows), note)


def _plot_section(size: int, found: dict[str, Retrieval]) -> Section:
    entries: list[tuple[str, dict[str, Estimate]]] = [
        (name, {"top-1": one.top1, "top-10": one.top10}) for name, one in found.items()
    ]
    return Section(
        "All pairs at a glance",
        f"Among {size:,} windows.",
        (
            IntervalPlot(
                "pairs_plot", "Share of windows found", "share of windows", tuple(entries), next(iter(found.values())).chance.top1
            ),
        ),
    )
