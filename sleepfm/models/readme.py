"""The model card as a page for people (`README.md` in a model's folder)."""

from __future__ import annotations

from sleepfm.models.card import SIMULATED, UNKNOWN, Condition, DemographicCoding, Metric, ModelCard, Training

SIMULATED_NOTICE = "Trained on simulated signals: for trying the software only. What it says of a real recording means nothing."


def readme(card: ModelCard) -> str:
    """Return the card as Markdown. It says what is not known as plainly as what is."""
    rows = [
        ("Task", card.task.value),
        ("Trained on", _trained_on(card)),
        ("Training data", card.training_data or "not stated"),
        ("Licence", "not stated" if card.licence == UNKNOWN else card.licence),
        ("Source", card.source or "not stated"),
        ("Architecture", f"{card.architecture} ({', '.join(f'{k} {v:g}' for k, v in card.parameters.items())})"),
        ("Weights", f"SHA-256 `{card.weights_sha256}`"),
    ]
    if card.encoder is not None:
        rows.append(("Encoder", f"{card.encoder.name}, SHA-256 `{card.encoder.weights_sha256}`"))
    if card.signals is not None:
        rows.append(("Recipe", f"{card.signals.recipe}, {card.signals.rate_hz} Hz, windows of {card.signals.window_s:g} s"))
        for modality, coding in card.signals.modalities.items():
            rows.append((modality.value, f"{', '.join(coding.kinds)}; at most {coding.max_channels} channels"))
    if card.demographics is not None:
        rows.append(("Age and sex", demographics_words(card.demographics)))
    rows.append(("Outputs", _labels(card)))
    if card.thresholds:
        rows.append(("Thresholds", ", ".join(f"{name} {value:g}" for name, value in card.thresholds.items())))
    if card.baseline_hazard is not None:
        known = sum(cumulative is not None for cumulative in card.baseline_hazard.cumulative)
        years = ", ".join(f"{year:g}" for year in card.baseline_hazard.years)
        rows.append(("Baseline hazard", f"of {known} conditions at {years} years"))
    if card.baseline:
        rows.append(("Baseline", "made to compare other models with"))
    if card.training is not None:
        rows.append(("Training", _training(card.training)))
    table = "\n".join(f"| {name} | {text.replace('|', '/')} |" for name, text in rows)
    notice = f"**{SIMULATED_NOTICE}**\n\n" if card.trained_on == SIMULATED else ""
    return (
        f"{notice}# {card.name}\n\n| | |\n|---|---|\n{table}\n\n## Measured quality\n\n{_metrics(card.metrics)}\n\n"
        "## Use\n\nFor research. Not a medical device; its output is no diagnosis.\n"
    )


def _metrics(metrics: tuple[Metric, ...]) -> str:
    if not metrics:
        return "None recorded: judge this model on your own recordings before you rely on it."
    return "\n".join(_metric(metric) for metric in metrics)


def _metric(metric: Metric) -> str:
    parts = [f"- {metric.name}"]
    if metric.group:
        parts.append(f" ({metric.group})")
    parts.append(f": {metric.value:g}{_interval(metric.low, metric.high)}")
    if metric.baseline is not None:
        parts.append(f", age and sex alone {metric.baseline:g}")
    if metric.data:
        parts.append(f" on {metric.data}")
    if metric.n is not None:
        parts.append(f", n = {metric.n}")
    return "".join(parts)


def _training(training: Training) -> str:
    parts = [f"{count} subjects in {split}" for split, count in training.subjects.items()]
    if training.seed is not None:
        parts.append(f"seed {training.seed}")
    if training.config_sha256:
        parts.append(f"configuration `{training.config_sha256[:12]}`")
    if training.data_sha256:
        parts.append(f"data `{training.data_sha256[:12]}`")
    if training.git:
        parts.append(f"software {training.git}")
    if training.machine:
        parts.append(training.machine)
    if training.seconds is not None:
        parts.append(f"{training.seconds / 60:.0f} minutes")
    return ", ".join(parts) or "not stated"


def _trained_on(card: ModelCard) -> str:
    return card.trained_on if card.real else f"{card.trained_on} (never chosen by `auto`)"


def demographics_words(coding: DemographicCoding) -> str:
    """Return how age and sex enter a disease head, in a line."""
    age = "age: coding unknown" if isinstance(coding.age_scale, str) else f"age / {coding.age_scale:g} years"
    sex = "sex: coding unknown"
    if not isinstance(coding.sex_code, str):
        sex = ", ".join(f"{name} {value:g}" for name, value in coding.sex_code.items())
    return f"{age}; {sex}" + ("" if coding.known else "; absolute risks from this head are uncalibrated")


def _labels(card: ModelCard) -> str:
    if card.labels == UNKNOWN:
        return "a vector per token and per window" if card.signals is not None else "names unknown"
    if all(isinstance(label, Condition) for label in card.labels):
        return f"{len(card.labels)} conditions, named in `model.json`"
    return ", ".join(str(label) for label in card.labels)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:g} to {high:g})"
