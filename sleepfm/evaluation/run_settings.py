"""What `sleepfm evaluate` is told: one pydantic model a task, all with a common part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.training.settings import Settings

ListName = Literal["pretrain", "train", "validation", "test"]
PartOfAll = Annotated[float, Field(ge=0, le=1)]


class CohortData(Settings):
    """Which recordings are tested: those of a split, or an external cohort.

    Attributes
    ----------
    signals
        Signals files or recordings, or folders of them. May be empty where `embeddings` holds all nights.
    splits
        The published JSON form; None: every recording of `signals` is tested.
    lists
        Which lists of the splits are tested.
    cohort
        CSV with `Study ID`, and where there are such columns `Subject ID`, age (years), sex, site, bmi and whatever else results
        are divided by. Without it each study counts as a subject of its own.
    source
        An external cohort: the name of a description that ships (`mesa`, `mros`, `shhs`, `cinc2018`, `simulated`) or a YAML file.
    root
        The cohort's folder, as it was downloaded.
    converted
        Where its signals and scorings go, 128 Hz; made once. None for `cohort` in the evaluation's folder.
    jobs
        Recordings converted at a time.
    """

    signals: tuple[Path, ...] = ()
    splits: Path | None = None
    lists: tuple[ListName, ...] = Field(default=("test",), min_length=1)
    cohort: Path | None = None
    source: str | None = None
    root: Path | None = None
    converted: Path | None = None
    jobs: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_or_the_other(self) -> CohortData:
        if (self.source is None) != (self.root is None):
            missing = "root: give the folder of the cohort" if self.root is None else "source: say which cohort is in root"
            raise ValueError(missing)
        if self.source is not None and (self.signals or self.cohort is not None):
            raise ValueError("signals and cohort: an external cohort (source) brings its own; leave them out")
        return self


class EvaluateSettings(Settings):
    """What every task has in common.

    Attributes
    ----------
    embeddings
        Folder of night embeddings, made where they are not there yet; None for `embeddings` in the evaluation's folder.
    memory_gb
        Nights beyond this are read from the disk each time.
    trained_in
        Folders of the runs that made the models, where these are not in `<home>/runs`: they know who was trained on.
    ecg_configurations
        Results by the channels that the EKG modality was made of.
    """

    data: CohortData
    embeddings: Path | None = None
    memory_gb: float = Field(default=4.0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    threads: int | None = Field(default=None, ge=1)
    trained_in: tuple[Path, ...] = ()
    evaluation: EvaluationSettings = EvaluationSettings()
    ecg_configurations: bool = False

    @model_validator(mode="after")
    def _somewhere(self) -> EvaluateSettings:
        if not self.data.signals and self.data.source is None and (self.embeddings is None or self.data.splits is None):
            raise ValueError("data.signals: give signals files or folders, or embeddings and splits, or an external cohort")
        return self


class EvaluateHead(EvaluateSettings):
    """What the heads have in common.

    Attributes
    ----------
    model
        The head's name on the shelf.
    others
        More models of the task by what they are called in the report: the same network trained end to end, a distilled one.
    per_modality, missing_modalities
        The head with each modality alone, and without each.
    missing_channels
        Name of a case → kinds of channels (`EOG`) or labels that recordings are made to lack; each case embeds the nights anew.
    label_fractions
        Share of the labels → the head that was fine-tuned on it (`data.fraction` of fine-tuning).
    pretrain_fractions
        Share of the signals → the head on the encoder that was pretrained on it (`data.fraction` of pretraining).
    """

    model: str = Field(min_length=1)
    others: dict[str, str] = Field(default_factory=dict)
    per_modality: bool = True
    missing_modalities: bool = True
    missing_channels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    label_fractions: dict[PartOfAll, str] = Field(default_factory=dict)
    pretrain_fractions: dict[PartOfAll, str] = Field(default_factory=dict)


class EvaluateStaging(EvaluateHead):
    """`sleepfm evaluate staging CONFIG`.

    Attributes
    ----------
    scorings
        Folder of the scorings, searched with all below it; None for the folders of the signals.
    """

    scorings: Path | None = None


class EvaluateBreathing(EvaluateHead):
    """`sleepfm evaluate breathing CONFIG`.

    Attributes
    ----------
    scorings, events
        Folders of the scorings and of the respiratory events; None for the folders of the signals.
    """

    scorings: Path | None = None
    events: Path | None = None


class EvaluateDisease(EvaluateHead):
    """`sleepfm evaluate disease CONFIG`.

    Attributes
    ----------
    baseline
        The model that knows age and sex alone; None only when there is none: the report then says so.
    is_event, time_to_event, demographics, labels
        As for fine-tuning.
    train_lists
        Lists of the splits whose follow-up gives the baseline hazard, for calibration; empty for no calibration.
    """

    baseline: str | None = None
    is_event: Path
    time_to_event: Path
    demographics: Path | None = None
    labels: Path | None = None
    train_lists: tuple[ListName, ...] = ("train",)


class EvaluateRetrieval(EvaluateSettings):
    """`sleepfm evaluate retrieval CONFIG`; sizes are `evaluation.candidates`.

    Attributes
    ----------
    encoder
        Its name on the shelf.
    others
        More encoders by what they are called in the report.
    pretrain_fractions
        Share of the signals → the encoder that was pretrained on it; `untrained` is one with random weights.
    """

    encoder: str = Field(min_length=1)
    others: dict[str, str] = Field(default_factory=dict)
    pretrain_fractions: dict[PartOfAll, str] = Field(default_factory=dict)


class EvaluateProbe(EvaluateRetrieval):
    """`sleepfm evaluate probe CONFIG`: logistic regression on frozen embeddings.

    Attributes
    ----------
    scorings, events
        Folders of scorings and events; None for the folders of the signals. A study without events has no breathing labels.
    train_lists
        Lists of the splits that the probes are trained on.
    label_fractions
        Shares of the training subjects' labels that the probes are trained on.
    per_modality
        Probes on each modality alone.
    most_epochs
        Training epochs are thinned evenly to so many.
    """

    scorings: Path | None = None
    events: Path | None = None
    train_lists: tuple[ListName, ...] = Field(default=("train",), min_length=1)
    label_fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    per_modality: bool = True
    most_epochs: int = Field(default=20_000, ge=100)

    @model_validator(mode="after")
    def _splits(self) -> EvaluateProbe:
        if self.data.splits is None:
            raise ValueError("data.splits: probes are trained on one list and tested on another")
        return self


EVALUATION_OF: dict[str, type[EvaluateSettings]] = {
    "staging": EvaluateStaging,
    "breathing": EvaluateBreathing,
    "disease": EvaluateDisease,
    "retrieval": EvaluateRetrieval,
    "probe": EvaluateProbe,
}
"""The settings of each task, by the word of the command line."""
