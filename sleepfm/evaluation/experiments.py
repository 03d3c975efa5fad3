"""One question asked of several models or inputs: how many labels, how much pretraining, which signals, which ECG leads.

Every function takes a callable that trains or predicts and returns scores (`staging_scores`, `breathing_scores`,
`disease_scores`, `probe_scores`), calls it for each case, and returns a section for `Evaluation.with_sections`. A case that
cannot be done (a `SleepFMError`: a missing channel, one class only) is in the table with its reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from sleepfm.analysis.curves import Curve
from sleepfm.analysis.estimates import Estimate
from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.evaluation.evaluation import Line, LinePlot, Section
from sleepfm.evaluation.tables import Scores, case_plot, case_table
from sleepfm.progress import Progress, silent
from sleepfm.text import printable
from sleepfm.vocabulary import Modality

LABEL_FRACTIONS: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
PRETRAINING_FRACTIONS: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0)


def label_fractions(
    fit_at: Callable[[float], Scores],
    *,
    plotted: str,
    fractions: Sequence[float] = LABEL_FRACTIONS,
    baseline_at: Callable[[float], Scores] | None = None,
    baseline_name: str = "end to end",
    progress: Progress = silent,
) -> Section:
    """Ask how many labels a head needs.

    Parameters
    ----------
    fit_at
        Trains a head on this fraction of the labelled training subjects (above 0, at most 1) and returns its scores on the
        same test set every time.
    plotted
        The metric that the figure shows.
    fractions
        Which fractions.
    baseline_at
        The same for the network that is trained end to end, or another rival.
    baseline_name
        What to call it.
    progress
        Called after each fit.
    """
    text = "The same head trained on fewer labelled people, tested on the same recordings."
    systems = {"this model": fit_at} if baseline_at is None else {"this model": fit_at, baseline_name: baseline_at}
    question = _Question("label_fractions", "How many labels it needs", text, "labelled people")
    return _by_fraction(question, systems, plotted, fractions, progress)


def pretraining_fractions(
    fit_at: Callable[[float], Scores],
    *,
    plotted: str,
    fractions: Sequence[float] = PRETRAINING_FRACTIONS,
    progress: Progress = silent,
) -> Section:
    """Ask what pretraining brings.

    Parameters
    ----------
    fit_at
        Takes the encoder that was pretrained on this fraction of the pretraining recordings (0: untrained weights), trains the
        same head on it, and returns its scores on the same test set every time.
    plotted, fractions, progress
        As in `label_fractions`.
    """
    text = "The same head on encoders that were pretrained on part of the recordings; 0 % is an encoder with random weights."
    question = _Question("pretraining_fractions", "What pretraining brings", text, "pretraining")
    return _by_fraction(question, {"this model": fit_at}, plotted, fractions, progress)


def modality_sets(modalities: Sequence[str] = tuple(Modality)) -> list[frozenset[str]]:
    """Return every set of modalities: each alone, then pairs, up to all of them."""
    return [frozenset(chosen) for size in range(1, len(modalities) + 1) for chosen in combinations(modalities, size)]


def by_modalities(
    predict_with: Callable[[frozenset[str]], Scores],
    *,
    plotted: str,
    modalities: Sequence[str] = tuple(Modality),
    progress: Progress = silent,
) -> Section:
    """Ask which modalities are needed.

    Parameters
    ----------
    predict_with
        Predicts with these modalities only, the others taken away from every recording, and returns the scores.
    plotted
        The metric that the figure shows.
    modalities
        Which there are.
    progress
        Called after each set.
    """
    cases = {" + ".join(m for m in modalities if m in chosen): chosen for chosen in modality_sets(modalities)}
    text = "The same model with some modalities taken away at test time, without training it again."
    question = _Question("by_modalities", "Which signals it needs", text, "signals")
    return _by_case(question, {label: partial(predict_with, chosen) for label, chosen in cases.items()}, plotted, progress)


def by_channels(
    predict_with: Callable[[str], Scores],
    channels: Iterable[str],
    *,
    plotted: str,
    key: str = "by_channels",
    title: str = "Missing channels",
    text: str = "The same model when recordings lack channels, without training it again.",
    progress: Progress = silent,
) -> Section:
    """Ask what a montage costs: a channel taken away, one channel of each modality, one EEG lead, one ECG configuration.

    Parameters
    ----------
    predict_with
        Predicts under the montage of that label and returns the scores.
    channels
        The labels: "all", "without EOG", "one EEG only"; for ECG: "lead II", "two leads", "bipolar chest lead".
    plotted, progress
        As in `by_modalities`.
    key, title, text
        Of the section; `key` must differ when an evaluation has several (`by_ecg_leads`).
    """
    measures = {label: partial(predict_with, label) for label in channels}
    return _by_case(_Question(key, title, text, "channels"), measures, plotted, progress)


def by_ecg_leads(
    predict_with: Callable[[str], Scores], configurations: Iterable[str], *, plotted: str, progress: Progress = silent
) -> Section:
    """Ask what the ECG lead matters (parameters as in `by_channels`)."""
    return by_channels(
        predict_with,
        configurations,
        plotted=plotted,
        key="by_ecg_leads",
        title="ECG leads",
        text="Recordings by the ECG leads that they have, or with all but these taken away.",
        progress=progress,
    )


def _attempt(measure: Callable[[], Scores]) -> Scores | str:
    """Return the scores, or why there are none."""
    try:
        return measure()
    except Cancelled:
        raise
    except SleepFMError as error:
        return printable(str(error))


@dataclass(frozen=True)
class _Question:
    """What is asked: the name in the JSON, the words of the section, and what the cases differ in."""

    key: str
    title: str
    text: str
    axis: str


def _by_case(question: _Question, measures: Mapping[str, Callable[[], Scores]], plotted: str, progress: Progress) -> Section:
    cases: dict[str, Scores | str] = {}
    for label, measure in measures.items():
        cases[label] = _attempt(measure)
        progress(len(cases) / len(measures), f"{question.title}: {printable(label)}")
    table = case_table(question.key, question.title, question.axis, cases)
    return Section(
        question.title, question.text, (table, case_plot(f"{question.key}_plot", f"{plotted} by {question.axis}", plotted, cases))
    )


def _by_fraction(
    question: _Question,
    systems: dict[str, Callable[[float], Scores]],
    plotted: str,
    fractions: Sequence[float],
    progress: Progress,
) -> Section:
    if any(not 0 <= fraction <= 1 for fraction in fractions):
        raise ValueError(f"fractions lie between 0 and 1: {list(fractions)}")
    cases: dict[str, Scores | str] = {}
    lines = []
    for name, fit_at in systems.items():
        points: list[tuple[float, Estimate]] = []
        for fraction in fractions:
            label = f"{100 * fraction:g} %" if len(systems) == 1 else f"{100 * fraction:g} %, {name}"
            cases[label] = scores = _attempt(partial(fit_at, fraction))
            if not isinstance(scores, str) and plotted in scores and scores[plotted].value is not None:
                points.append((100 * fraction, scores[plotted]))
            progress(len(cases) / (len(systems) * len(fractions)), f"{question.title}: {label}")
        if points:
            lines.append(Line(name, _with_band(points), faint=name != "this model"))
    axis = question.axis
    plot = LinePlot(
        f"{question.key}_plot", f"{plotted} over {axis}", f"{axis} (%)", plotted, tuple(lines), x_range=(0, 100), y_range=None
    )
    return Section(question.title, question.text, (case_table(question.key, question.title, axis, cases), plot))


def _with_band(points: list[tuple[float, Estimate]]) -> Curve:
    y = np.array([estimate.value for _, estimate in points], dtype=np.float64)
    low, high = (np.array([getattr(e, end) for _, e in points], dtype=np.float64) for end in ("low", "high"))
    whole = np.isfinite(low).all() and np.isfinite(high).all()
    return Curve(np.array([x for x, _ in points]), y, low if whole else None, high if whole else None)
