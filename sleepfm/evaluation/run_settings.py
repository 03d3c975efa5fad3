"""What `sleepfm evaluate` is told: one pydantic model a task, all with a common part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.training.end_to_end import EndToEndSettings
from sleepfm.training.settings import PretrainSettings, Settings

ListName = Literal["pretrain", "train", "validation", "test"]
TrainList = Literal["pretrain", "train"]
Objective = Literal["leave_one_out", "pairwise", "reconstruction"]
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
        Its name on the shelf; with `pretrain` the first that is made.
    others
        More encoders by what they are called in the report; with `pretrain` the others that are made.
    pretrain_fractions
        Share of the signals → the encoder that was pretrained on it.
    pretrain
        An encoder that is pretrained first, unless that was done; `data` as above and the list `pretrain` unless it says other.
    objectives
        With `pretrain`: one encoder for each objective, otherwise alike, called `<name>-<objective>`.
    probe_lists
        Set probes that are trained on these lists of the splits beside retrieval; empty for none.
    """

    encoder: str = Field(min_length=1)
    others: dict[str, str] = Field(default_factory=dict)
    pretrain_fractions: dict[PartOfAll, str] = Field(default_factory=dict)
    pretrain: PretrainSettings | None = None
    objectives: tuple[Objective, ...] = ()
    probe_lists: tuple[TrainList, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _follow(cls, content: Any) -> Any:
        """Fill in what follows from the rest: whose data a pretraining uses, and which encoders it makes."""
        if not isinstance(content, dict) or not isinstance(content.get("pretrain"), dict):
            return content
        pretrain = _with_data(content["pretrain"], content)
        made = made_encoders(str(pretrain.get("name", "")), content.get("objectives") or ())
        others = {name: name for name in list(made)[1:]}
        return {"encoder": next(iter(made)), "others": others, **content, "pretrain": pretrain}

    def pretrainings(self) -> tuple[PretrainSettings, ...]:
        """Return what is to be pretrained, one an encoder."""
        if self.pretrain is None:
            return ()
        return tuple(
            self.pretrain.model_copy(
                update={"name": name}
                | ({} if kind is None else {"objective": self.pretrain.objective.model_copy(update={"kind": kind})})
            )
            for name, kind in made_encoders(self.pretrain.name, self.objectives).items()
        )


def made_encoders(name: str, objectives: Sequence[str]) -> dict[str, str | None]:
    """Return the names of the encoders that a pretraining makes, each with its objective (None: the one of its settings)."""
    return {f"{name}-{kind.replace('_', '-')}": kind for kind in objectives} or {name: None}


def _with_data(part: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """Return a part's settings with the data of the whole where it names none."""
    data = content.get("data")
    shared = {key: data[key] for key in ("signals", "splits", "cohort") if key in data} if isinstance(data, dict) else {}
    own = part.get("data")
    return {**part, "data": {**shared, **(own if isinstance(own, dict) else {})}}


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
    end_to_end
        The same network, trained end to end on the same labels: `data`, `scorings` and `encoder` (that of `pretrain`) as above
        unless it says other.
    """

    scorings: Path | None = None
    events: Path | None = None
    train_lists: tuple[TrainList, ...] = Field(default=("train",), min_length=1)
    label_fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    per_modality: bool = True
    most_epochs: int = Field(default=20_000, ge=100)
    end_to_end: EndToEndSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _same_network(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("end_to_end"), dict):
            return content
        rival = _with_data(content["end_to_end"], content)
        rival["data"] = {"lists": content.get("train_lists", ["train"]), **rival["data"]}
        pretrain = content.get("pretrain")
        shared = {key: content[key] for key in ("scorings",) if key in content}
        shared |= {key: pretrain[key] for key in ("encoder",) if isinstance(pretrain, dict) and key in pretrain}
        return {**content, "end_to_end": {**shared, **rival}}

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
