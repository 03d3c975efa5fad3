"""What the models page says of a model: its row on the shelf, its card, where it was trained. Pure: cards in, words out.

Names and texts of a card come from files; the page shows them through `sleepfm.text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sleepfm.models.card import SIMULATED, UNKNOWN, Condition, Metric, ModelCard, Task
from sleepfm.models.readme import demographics_words
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.text import printable
from sleepfm.viewer.words import duration_words

TASK_WORDS: dict[Task, str] = {
    Task.ENCODER: "encoder",
    Task.STAGING: "staging",
    Task.BREATHING: "breathing",
    Task.DISEASE: "disease",
    Task.PROBE: "probe",
}
_HEADLINES: dict[Task, tuple[str, ...]] = {
    Task.STAGING: ("staging kappa", "staging macro F1"),
    Task.BREATHING: ("SDB epoch AUROC",),
    Task.DISEASE: ("mean C-index",),
    Task.ENCODER: ("retrieval top-1 among 1,000, mean of pairs",),
}
"""The figure that stands for a model in the table, where it was measured; else the first on its card."""
_UNITS: tuple[tuple[str, str], ...] = (
    ("age mean absolute error", "years"),
    ("BMI mean absolute error", "kg/m²"),
)
"""Units of the figures that have one, by the end of their name; the others are shares or coefficients, of which 1 is the best."""
_ARCHITECTURES: dict[str, str] = {
    "SetTransformer": "5-s tokens by convolutions, attention over a modality's channels, a transformer over a 5-min window",
    "EfficientNet1D": "one-dimensional convolutions (EfficientNet) over a 5-min window",
    "SleepEventLSTMClassifier": "attention over modalities, a transformer and a bidirectional LSTM; a stage every 5 s",
    "BreathingHead": "attention over modalities, a transformer and a bidirectional LSTM; events by epoch, severity of the night",
    "DiagnosisFinetuneFullLSTMCOXPHWithDemo": "attention over modalities and a bidirectional LSTM, with age and sex; log hazards",
    "NightMLP": "one hidden layer over the night's mean embedding; log hazards",
    "DemographicsHead": "age and sex alone; log hazards",
    "LogisticProbe": "one linear layer over an embedding",
}
_NUMBERS: dict[str, str] = {
    "embed_dim": "numbers in an embedding",
    "num_heads": "attention heads",
    "num_layers": "layers",
    "pooling_head": "heads of the pooling",
    "patch_size": "samples in a token",
    "max_seq_length": "tokens at most",
    "num_classes": "outputs",
    "dropout": "dropout",
    "hidden": "hidden units",
    "width": "times the width",
}
_COUNTS = ("num_layers", "num_classes", "hidden")
"""Those whose word stands in the plural, which one of them has not."""
_SHOWN_LABELS = 12


@dataclass(frozen=True)
class ShelfRow:
    """A model as the table shows it."""

    name: str
    task: str
    trained_on: str
    default: str
    state: str
    quality: str
    weights: str
    encoder: str

    @property
    def cells(self) -> dict[str, str]:
        """The cells by the words above them."""
        return {
            "Model": self.name,
            "Task": self.task,
            "Trained on": self.trained_on,
            "Default": self.default,
            "State": self.state,
            "Measured (interval), n": self.quality,
            "Weights": self.weights,
            "Encoder": self.encoder,
        }


def _number_words(name: str, value: float) -> str:
    words = _NUMBERS.get(name, name)
    return f"{value:g} {words.removesuffix('s') if value == 1 and name in _COUNTS else words}"


def shelf_rows(shelf: Shelf) -> list[ShelfRow]:
    """Return a row for every model: by task, the default first and what is not offered last."""
    entries = shelf.entries(retired=True)
    offered = {entry.name for entry in shelf.entries()}
    defaults = {task: default_of(shelf, task) for task in Task}
    rows = []
    for entry in entries:
        card, default = entry.card, defaults[entry.card.task]
        is_default = default is not None and default.name == entry.name
        order = (list(Task).index(card.task), entry.name not in offered, card.baseline, not is_default, entry.name)
        row = ShelfRow(
            name=entry.name,
            task=TASK_WORDS[card.task],
            trained_on=trained_on_words(card),
            default=default_words(shelf, entry) if is_default else "",
            state=_offered_words(card) if entry.name in offered else state_words(shelf, entry),
            quality=headline(card),
            weights=card.weights_sha256[:8],
            encoder="" if card.encoder is None else printable(card.encoder.name),
        )
        rows.append((order, row))
    return [row for _, row in sorted(rows, key=lambda one: one[0])]


def state_words(shelf: Shelf, entry: ShelfEntry) -> str:
    """Return whether a model is offered."""
    if shelf.is_retired(entry.name):
        return "retired"
    if not shelf.is_offered(entry.name):
        return "its encoder is retired"
    return _offered_words(entry.card)


def _offered_words(card: ModelCard) -> str:
    return "for comparison" if card.baseline else "offered"


def default_of(shelf: Shelf, task: Task) -> ShelfEntry | None:
    """Return what stands as the default of a task: the chosen model, else the one by rule if `auto` would take it."""
    default = shelf.default(task)
    return default if default is not None and (default.card.real or shelf.chosen(task) == default.name) else None


def default_words(shelf: Shelf, entry: ShelfEntry) -> str:
    """Return how the default of a task came to be it."""
    return "chosen" if shelf.chosen(entry.card.task) == entry.name else "by rule"


def trained_on_words(card: ModelCard) -> str:
    """Return what a model was trained on; simulated and unknown are said as such."""
    return {SIMULATED: "simulated signals", UNKNOWN: "unknown"}.get(card.trained_on, printable(card.trained_on))


def headline_metric(card: ModelCard) -> Metric | None:
    """Return the figure that stands for a model; None where nothing was measured."""
    whole = [metric for metric in card.metrics if not metric.group]
    for name in _HEADLINES.get(card.task, ()):
        for metric in whole:
            if metric.name == name:
                return metric
    return whole[0] if whole else None


def headline(card: ModelCard) -> str:
    """Return it in words, "staging kappa 0.908 (0.899 to 0.916), n = 119"."""
    metric = headline_metric(card)
    return "not measured" if metric is None else f"{printable(metric.name)} {value_words(metric)}, {count_words(metric)}"


def value_words(metric: Metric) -> str:
    """Return a figure with its interval and unit, "7.45 (6.52 to 8.43) years"; what has no interval says so."""
    unit = unit_of(metric)
    between = "no interval" if metric.low is None or metric.high is None else f"{metric.low:.3g} to {metric.high:.3g}"
    return f"{metric.value:.3g} ({between}){f' {unit}' if unit else ''}"


def count_words(metric: Metric) -> str:
    """Return on how many a figure was measured."""
    return "n unknown" if metric.n is None else f"n = {metric.n}"


def unit_of(metric: Metric) -> str:
    """Return a figure's unit, empty for a share or coefficient."""
    return next((unit for end, unit in _UNITS if metric.name.endswith(end)), "")


def metric_rows(metrics: Sequence[Metric]) -> list[dict[str, str]]:
    """Return a table row for every figure on a card."""
    compared = any(metric.baseline is not None for metric in metrics)
    grouped = any(metric.group for metric in metrics)
    rows = []
    for metric in metrics:
        row = {"Measured": printable(metric.name)}
        if grouped:
            row["Of"] = printable(metric.group) or "all"
        row |= {"Value (interval)": value_words(metric), "n": "unknown" if metric.n is None else str(metric.n)}
        if compared:
            row["Age and sex alone"] = "" if metric.baseline is None else f"{metric.baseline:.3g}"
        rows.append(row | {"On": printable(metric.data) or "not stated"})
    return rows


def card_rows(card: ModelCard) -> list[tuple[str, str]]:
    """Return what a card says, as pairs of a word and a text."""
    numbers = ", ".join(_number_words(name, value) for name, value in card.parameters.items())
    rows = [
        ("Network", _architecture(card.architecture)),
        ("Numbers", numbers or "none"),
        ("Trained on", trained_on_words(card)),
        ("Training data", card.training_data or "not stated"),
        ("Licence", "not stated" if card.licence == UNKNOWN else card.licence),
        ("Source", card.source or "not stated"),
        ("Made with", f"SleepFM Workbench {card.sleepfm_version}, on the shelf since {card.imported_at:%Y-%m-%d %H:%M} UTC"),
    ]
    if card.encoder is not None:
        rows.append(("Encoder", f"{card.encoder.name}, weights {card.encoder.weights_sha256[:12]}"))
    if card.signals is not None:
        signals = card.signals
        rows.append((
            "Signals",
            f"recipe {signals.recipe}, {signals.rate_hz} Hz, windows of {signals.window_s:g} s, tokens of {signals.token_s:g} s",
        ))  # fmt: skip
        for modality, coding in signals.modalities.items():
            rows.append((modality.value, f"at most {coding.max_channels} channels: {', '.join(coding.kinds)}"))
    if card.task is Task.DISEASE:
        coding_words = "takes neither" if card.demographics is None else demographics_words(card.demographics)
        rows.append(("Age and sex", coding_words))
    rows.append(("Outputs", _labels(card)))
    if card.thresholds:
        rows.append(("Thresholds", ", ".join(f"{name}: yes from {value:.3g}" for name, value in card.thresholds.items())))
    if card.baseline_hazard is not None:
        known = sum(one is not None for one in card.baseline_hazard.cumulative)
        years = card.baseline_hazard.years
        rows.append(("Baseline hazard", f"of {known} conditions, {years[0]:g} to {years[-1]:g} years after the night"))
    rows.append(("Weights", f"SHA-256 {card.weights_sha256}"))
    return rows


def training_rows(card: ModelCard) -> list[tuple[str, str]]:
    """Return how the weights came about, as far as the card says."""
    training = card.training
    if training is None:
        return []
    rows = [
        ("Machine", training.machine),
        ("Duration", "" if training.seconds is None else duration_words(training.seconds)),
        ("Software", f"commit {training.git}" if training.git else ""),
        ("Subjects", ", ".join(f"{count} in {split}" for split, count in training.subjects.items())),
        ("Seed", "" if training.seed is None else str(training.seed)),
        ("Settings", f"SHA-256 {training.config_sha256[:12]}…" if training.config_sha256 else ""),
        ("Recordings", f"SHA-256 {training.data_sha256[:12]}…" if training.data_sha256 else ""),
    ]
    return [(name, text) for name, text in rows if text]


def _architecture(word: str) -> str:
    parts = [_ARCHITECTURES[part] for part in word.split("+") if part in _ARCHITECTURES]
    return f"{word}: {'; then '.join(parts)}" if parts else word


def _labels(card: ModelCard) -> str:
    if card.labels == UNKNOWN:
        return "an embedding for each token and window" if card.signals is not None else "names unknown"
    names = [one.phenotype if isinstance(one, Condition) else one for one in card.labels]
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN_LABELS else ""
    return ", ".join(names[:_SHOWN_LABELS]) + more
