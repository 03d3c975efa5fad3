"""Heads trained on embeddings: they learn what is there, go on where they were stopped, and say what they cannot use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from sleepfm.errors import Cancelled, ModelError, RequestError, SleepFMError
from sleepfm.inference.embedding_files import embedding_paths, read_embeddings
from sleepfm.inference.heads import stage_night
from sleepfm.models.card import Task
from sleepfm.models.heads import DiseaseHead
from sleepfm.models.networks import Model, load_model
from sleepfm.models.shelf import Shelf
from sleepfm.training import finetuning
from sleepfm.training.engine import Trainer
from sleepfm.training.finetune_settings import SETTINGS_OF
from sleepfm.training.finetuning import finetune
from sleepfm.training.head_learners import DiseaseLearner
from sleepfm.training.night_embeddings import embed_nights
from sleepfm.training.night_labels import (
    EVENT,
    KNOWN,
    STAGES,
    YEARS,
    BreathingReader,
    FollowUpReader,
    LabelReader,
    StageReader,
    gather_nights,
    label_files,
)
from sleepfm.training.nights import LabelledNight, NightLoader
from sleepfm.training.predictions import predict_breathing, predict_hazards, predict_stages
from sleepfm.training.processes import Team
from sleepfm.training.run_folder import RunFolder
from sleepfm.training.settings import TrainingSettings
from sleepfm.vocabulary import Modality
from tests.training.night_cohort import EMBED_DIM, NightCohort, make_cohort
from tests.training.process_group import in_processes

SMALL = {"num_heads": 2, "pooling_head": 2, "max_seq_length": 480, "dropout": 0.0}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> NightCohort:
    return make_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def ask(cohort: NightCohort, task: str, **changes: Any) -> Any:
    """Return settings of a task that this cohort can train in a few seconds."""
    folder = cohort.folder
    own: dict[str, Any] = {
        "staging": {"scorings": folder, "crop_tokens": 120},
        "breathing": {"scorings": folder, "events": folder},
        "disease": {
            "is_event": folder / "is_event.csv",
            "time_to_event": folder / "time_to_event.csv",
            "demographics": folder / "demographics.csv",
            "crop_tokens": 60,
        },
    }
    training = {"epochs": 6, "batch_size": 6, "validate_every": 1000, "optimiser": {"learning_rate": 3e-3, "warmup_steps": 3}}
    merged = {"name": task, **cohort.data(), **own[task], "head": {"parameters": SMALL}, **changes}
    return SETTINGS_OF[task].model_validate({**merged, "training": {**training, **changes.get("training", {})}})


def read(cohort: NightCohort, reader: LabelReader) -> list[LabelledNight]:
    found = embed_nights(cohort.studies, (), cohort.encoder, cohort.embeddings)
    return list(gather_nights(reader, found, {}).nights.values())


def run_and_shelve(cohort: NightCohort, folder: Path, task: str, **changes: Any) -> tuple[Model, list[dict[str, Any]]]:
    outcome, about = finetune(task, ask(cohort, task, **changes), folder, shelf=cohort.shelf)
    assert outcome.state == json.loads((folder / "state.json").read_text())["state"] == "finished"
    entry = cohort.shelf.add(f"{task}-{folder.name}", about["state"], about["card"])
    return load_model(entry.folder), metrics(folder)


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def losses(lines: list[dict[str, Any]], name: str = "train/loss") -> list[float]:
    return [line[name] for line in lines if name in line]


def stop_after(steps: int) -> Callable[[float, str], None]:
    """Return a progress that cancels once training has reported so many steps."""

    def progress(_fraction: float, message: str) -> None:
        if message.startswith(f"step {steps} "):
            raise Cancelled

    return progress


class TestStaging:
    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, cohort: NightCohort, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, list[dict[str, Any]]]:
        torch.set_num_threads(1)
        return run_and_shelve(cohort, tmp_path_factory.mktemp("staging"), "staging", training={"epochs": 10})

    def test_learns(self, cohort: NightCohort, trained: tuple[Model, list[dict[str, Any]]]) -> None:
        model, lines = trained

        assert losses(lines)[-1] < 0.7 * losses(lines)[0]
        staged = predict_stages(model, read(cohort, StageReader(label_files(cohort.folder, (), ""))))
        right = [
            (one.probability_ek.argmax(axis=1) == one.truth_e)[one.truth_e >= 0].mean()
            for one in staged
            if one.study in cohort.studies[6:]
        ]
        assert np.mean(right) > 0.7

    def test_says_the_same_as_the_inference_engine(
        self, cohort: NightCohort, trained: tuple[Model, list[dict[str, Any]]]
    ) -> None:
        nights = read(cohort, StageReader(label_files(cohort.folder, (), "")))

        for labelled, one in zip(nights[-2:], predict_stages(trained[0], nights[-2:]), strict=True):
            scoring = stage_night(read_embeddings(embedding_paths(cohort.embeddings, labelled.night.study)[0]), trained[0])
            assert scoring.probabilities is not None
            np.testing.assert_allclose(one.probability_ek, scoring.probabilities, atol=2e-3)  # embeddings in half precision

    def test_can_be_asked_with_fewer_modalities(self, cohort: NightCohort, trained: tuple[Model, list[dict[str, Any]]]) -> None:
        nights = read(cohort, StageReader(label_files(cohort.folder, (), "")))

        (alone,) = predict_stages(trained[0], nights[:1], modalities=[Modality.BAS])
        (nothing,) = predict_stages(trained[0], nights[-1:], modalities=[Modality.RESP])  # the last night lacks it

        assert (alone.probability_ek.argmax(axis=1) == alone.truth_e).mean() > 0.4  # 0.2 by chance
        assert np.isnan(nothing.probability_ek).all()

    def test_card_names_encoder_and_origin(self, cohort: NightCohort, trained: tuple[Model, list[dict[str, Any]]]) -> None:
        card = trained[0].card

        assert card.task is Task.STAGING
        assert card.encoder is not None
        assert card.encoder.weights_sha256 == cohort.encoder.card.weights_sha256
        assert card.trained_on == "simulated"
        assert "6 simulated recordings of 6 subjects" in card.training_data
        assert card.training is not None
        assert card.training.subjects == {"train": 6, "validation": 6}

    def test_a_head_for_another_encoder_is_refused(self, trained: tuple[Model, list[dict[str, Any]]], tmp_path: Path) -> None:
        other = make_cohort(tmp_path, nights=2, epochs=6, seed=9)
        nights = read(other, StageReader(label_files(other.folder, (), "")))

        with pytest.raises(ModelError, match="made for tiny"):
            predict_stages(trained[0], nights)
        with pytest.raises(RequestError, match="not for disease"):
            predict_hazards(trained[0], nights)

    def test_balanced_weights_weigh_each_stage_alike(self, cohort: NightCohort, tmp_path: Path) -> None:
        run = tmp_path / "run"

        outcome, _ = finetune(
            "staging",
            ask(cohort, "staging", class_weights="balanced", training={"epochs": 1}),
            run,
            shelf=cohort.shelf,
        )

        assert outcome.course.step > 0
        assert np.isfinite(losses(metrics(run))).all()


class TestBreathing:
    def test_learns_epochs_and_severity(self, cohort: NightCohort, tmp_path: Path) -> None:
        model, lines = run_and_shelve(cohort, tmp_path, "breathing", training={"epochs": 40, "batch_size": 3})
        reader = BreathingReader(label_files(cohort.folder, (), ""), label_files(cohort.folder, (), ""))
        every = predict_breathing(model, read(cohort, reader))
        judged = every[6:]

        assert losses(lines)[-1] < 0.8 * losses(lines)[0]
        truth_n = np.concatenate([one.sdb_truth_e for one in judged])
        probability_n = np.concatenate([one.sdb_probability_e for one in judged])
        assert roc_auc_score(truth_n[truth_n >= 0], probability_n[truth_n >= 0]) > 0.8
        ahi_n = np.array([one.ahi for one in every])
        assert np.corrcoef(ahi_n, [one.presence_probability for one in every])[0, 1] > 0.5
        assert 0 < model.card.thresholds["sdb"] < 1
        assert np.isnan(judged[-2].sdb_probability_e[1])  # a gap


class TestDisease:
    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, cohort: NightCohort, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, list[dict[str, Any]]]:
        torch.set_num_threads(1)
        changes = {"epochs": 25, "batch_size": 3, "accumulate": 2}
        return run_and_shelve(cohort, tmp_path_factory.mktemp("disease"), "disease", training=changes)

    def follow_up(self, cohort: NightCohort, model: Model) -> list[LabelledNight]:
        folder = cohort.folder
        reader = FollowUpReader(
            folder / "is_event.csv",
            folder / "time_to_event.csv",
            cohort.studies,
            demographics=folder / "demographics.csv",
            coding=model.card.demographics,
        )
        return read(cohort, reader)

    def test_learns_to_rank(self, cohort: NightCohort, trained: tuple[Model, list[dict[str, Any]]]) -> None:
        model, lines = trained
        nights = self.follow_up(cohort, model)
        hazards = predict_hazards(model, nights)

        assert losses(lines)[-1] < 0.9 * losses(lines)[0]
        planted_n = [cohort.hazards[study] for study in hazards.studies]
        assert spearmanr(hazards.log_hazard_nk.mean(axis=1), planted_n).statistic > 0.6

    def test_leaves_out_a_condition_that_nobody_got(
        self, cohort: NightCohort, trained: tuple[Model, list[dict[str, Any]]]
    ) -> None:
        model, lines = trained

        assert [label.phecode for label in predict_hazards(model, self.follow_up(cohort, model)).conditions] == [
            "SIM-01",
            "SIM-02",
        ]
        assert any("no event of SIM-03" in line.get("note", "") for line in lines)

    def test_card_carries_baseline_hazards(self, cohort: NightCohort, trained: tuple[Model, list[dict[str, Any]]]) -> None:
        model, _ = trained
        hazard = model.card.baseline_hazard
        nights = self.follow_up(cohort, model)[:6]
        log_hazard_n = predict_hazards(model, nights).log_hazard_nk[:, 0]

        assert hazard is not None
        # Breslow: the expected events of the people it was made from add up to the events that they had.
        last = len(hazard.years) - 1
        years_n, event_n = (np.array([one.by_night[name][0] for one in nights]) for name in (YEARS, EVENT))
        assert hazard.cumulative[0] is not None
        steps = [sum(np.exp(log_hazard_n[years_n >= t])) for t in sorted(years_n[event_n & (years_n <= hazard.years[last])])]
        assert hazard.cumulative[0][last] == pytest.approx(sum(1 / at_risk for at_risk in steps), rel=1e-3)

    def test_age_and_sex_alone_are_a_baseline_on_the_same_nights(self, cohort: NightCohort, tmp_path: Path) -> None:
        changes = {"head": {"architecture": "DemographicsHead", "parameters": {"hidden": 8}}, "training": {"epochs": 5}}
        model, _ = run_and_shelve(cohort, tmp_path, "disease", **changes)
        nights = self.follow_up(cohort, model)

        assert model.card.baseline
        whole, part = (predict_hazards(model, nights, modalities=only).log_hazard_nk for only in (None, [Modality.BAS]))
        np.testing.assert_array_equal(whole, part)

    def test_without_a_table_of_people_the_head_takes_none(self, cohort: NightCohort, tmp_path: Path) -> None:
        model, _ = run_and_shelve(cohort, tmp_path, "disease", demographics=None, training={"epochs": 1})

        assert model.card.demographics is None
        assert not model.card.takes_demographics
        with pytest.raises(RequestError, match="takes age and sex"):
            finetune(
                "disease",
                ask(cohort, "disease", demographics=None, head={"architecture": "DemographicsHead"}),
                tmp_path / "other",
                shelf=cohort.shelf,
            )


class TestCourse:
    @pytest.mark.parametrize(
        ("task", "training"),
        [("staging", {"epochs": 3}), ("disease", {"epochs": 6, "batch_size": 3, "accumulate": 2})],
    )
    def test_a_resumed_run_equals_an_uninterrupted_one(
        self, cohort: NightCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, training: dict[str, Any]
    ) -> None:
        monkeypatch.setattr(Trainer, "_report", _report_every_step)
        settings = ask(cohort, task, training=training, head={"parameters": {**SMALL, "dropout": 0.2}})
        _, whole = finetune(task, settings, tmp_path / "whole", shelf=cohort.shelf)

        stopped, about = finetune(task, settings, tmp_path / "cut", shelf=cohort.shelf, progress=stop_after(3))
        assert (stopped.state, stopped.course.step, about) == ("stopped", 3, {})
        _, resumed = finetune(task, settings, tmp_path / "cut", shelf=cohort.shelf, resume=True)

        assert losses(metrics(tmp_path / "cut")) == losses(metrics(tmp_path / "whole"))
        assert all(torch.equal(resumed["state"][name], tensor) for name, tensor in whole["state"].items())

    def test_accumulated_batches_share_one_risk_set(self, cohort: NightCohort, tmp_path: Path) -> None:
        whole = {"epochs": 2, "batch_size": 6}
        parts = {"epochs": 2, "batch_size": 2, "accumulate": 3}
        for name, training in (("whole", whole), ("parts", parts)):
            finetune("disease", ask(cohort, "disease", training=training), tmp_path / name, shelf=cohort.shelf)

        np.testing.assert_allclose(losses(metrics(tmp_path / "parts")), losses(metrics(tmp_path / "whole")), rtol=1e-5)

    def test_two_processes_give_the_losses_of_one(self, cohort: NightCohort, tmp_path: Path) -> None:
        one = _hazard_losses(0, 1, str(cohort.folder), str(tmp_path / "one"))
        two = in_processes(2, _hazard_losses, 2, str(cohort.folder), str(tmp_path / "two"))

        np.testing.assert_allclose(two[0]["train"], one["train"], rtol=1e-5)
        np.testing.assert_allclose(two[0]["validation"], one["validation"], rtol=1e-5)

    def test_a_whole_run_in_two_processes_equals_that_in_one(self, cohort: NightCohort, tmp_path: Path) -> None:
        settings = ask(cohort, "staging", training={"epochs": 1, "batch_size": 4}, modality_dropout=0.0)
        outcome, about = finetune("staging", settings, tmp_path / "one", shelf=cohort.shelf)
        two = in_processes(2, _finetune_in_group, settings.model_dump(mode="json"), str(cohort.shelf.root), str(tmp_path / "two"))

        np.testing.assert_allclose(losses(metrics(tmp_path / "two")), losses(metrics(tmp_path / "one")), rtol=1e-5)
        assert [one["best"] for one in two] == [pytest.approx(outcome.course.best, rel=1e-5)] * 2
        assert [one["told"] for one in two] == [True, False]  # only the process that leads speaks
        assert about["card"]["training"].subjects == {"train": 6, "validation": 6}

    def test_a_checkpoint_of_another_shape_is_refused(self, cohort: NightCohort, tmp_path: Path) -> None:
        changes: dict[str, Any] = {"training": {"epochs": 1, "max_steps": 1}}
        finetune("staging", ask(cohort, "staging", **changes), tmp_path / "a", shelf=cohort.shelf)
        settings = ask(cohort, "staging", head={"parameters": {**SMALL, "num_layers": 2}}, **changes)
        RunFolder(tmp_path / "b", settings, resume=False).close()
        (tmp_path / "a" / "checkpoints").rename(tmp_path / "b" / "checkpoints")

        with pytest.raises(ModelError, match="another network"):
            finetune("staging", settings, tmp_path / "b", shelf=cohort.shelf, resume=True)


class TestBadInput:
    def refuse(self, cohort: NightCohort, tmp_path: Path, message: str, task: str = "staging", **changes: Any) -> None:
        with pytest.raises(SleepFMError, match=message) as found:
            finetune(task, ask(cohort, task, **changes), tmp_path / "run", shelf=cohort.shelf)
        assert "\n" not in str(found.value)

    def splits(self, tmp_path: Path, **lists: list[str]) -> dict[str, Any]:
        path = tmp_path / "splits.json"
        path.write_text(json.dumps(lists))
        return {"splits": path}

    def test_no_recording_for_a_split(self, cohort: NightCohort, tmp_path: Path) -> None:
        data = self.splits(tmp_path, train=["unheard-of"], validation=["night-06"])
        self.refuse(cohort, tmp_path, "no recording for train: none of its 1 studies.*no signals file", data=data)

    def test_no_validation(self, cohort: NightCohort, tmp_path: Path) -> None:
        self.refuse(
            cohort, tmp_path, "no recording for validation", data=self.splits(tmp_path, train=["night-00"], validation=[])
        )

    def test_one_class_only(self, cohort: NightCohort, tmp_path: Path) -> None:
        for study in cohort.studies:
            (tmp_path / f"{study}.csv").write_text("Start,Stop,StageName,StageNumber\n0,2400,Stage 2,2\n")
            (tmp_path / f"{study}_events.csv").write_text("Start,Stop,Event,Channel,Source\n")
        self.refuse(cohort, tmp_path, "hold only the stage Stage 2", scorings=tmp_path)
        self.refuse(cohort, tmp_path / "b", "hold no apnea", "breathing", scorings=tmp_path, events=tmp_path)

    def test_no_event_at_all(self, cohort: NightCohort, tmp_path: Path) -> None:
        rows = "".join(f"{study},0\n" for study in cohort.studies)
        (tmp_path / "is_event.csv").write_text(f"Study ID,A\n{rows}")
        (tmp_path / "years.csv").write_text(f"Study ID,A\n{rows.replace(',0', ',5')}")
        tables = {"is_event": tmp_path / "is_event.csv", "time_to_event": tmp_path / "years.csv"}
        self.refuse(cohort, tmp_path, "has an event of any condition", "disease", **tables)

    def test_recordings_that_cannot_be_used_are_named(self, cohort: NightCohort, tmp_path: Path) -> None:
        scorings = tmp_path / "scorings"
        scorings.mkdir()
        for study in cohort.studies[:8]:
            (scorings / f"{study}.csv").write_bytes((cohort.folder / f"{study}.csv").read_bytes())
        (scorings / "night-01.csv").write_text("Start,Stop,StageName,StageNumber\n0,2400,Unknown,-1\n")
        (scorings / "night-02.csv").write_text("Start,Stop,StageName,StageNumber\n0,60,Wake,0\n60,120,REM,4\n")
        run = tmp_path / "run"

        outcome, _ = finetune(
            "staging", ask(cohort, "staging", scorings=scorings, training={"epochs": 1}), run, shelf=cohort.shelf
        )

        lines = metrics(run)
        left_out = {line["left_out"]: line["reason"] for line in lines if "left_out" in line}
        assert outcome.state == "finished"
        assert "scores no epoch" in left_out["night-01"]
        assert "has no scoring" in left_out["night-08"]
        assert set(left_out) == {"night-01", *cohort.studies[8:]}
        assert any(line.get("study") == "night-02" and "not scored" in line["note"] for line in lines)

    def test_a_batch_without_any_known_label_does_no_harm(self, cohort: NightCohort, tmp_path: Path) -> None:
        scorings = tmp_path / "scorings"
        scorings.mkdir()
        for study in cohort.studies:
            (scorings / f"{study}.csv").write_text("Start,Stop,StageName,StageNumber\n0,60,Wake,0\n60,300,REM,4\n")
        run = tmp_path / "run"

        outcome, _ = finetune(
            "staging",
            ask(cohort, "staging", scorings=scorings, training={"epochs": 1, "batch_size": 1}),
            run,
            shelf=cohort.shelf,
        )

        assert outcome.course.skipped == 0
        assert 0.0 in losses(metrics(run), "train/n")

    @pytest.mark.parametrize(
        ("head", "message"),
        [
            ({"parameters": {"embed_dim": 32}}, "head.parameters.embed_dim: is 32.*make it 16"),
            ({"parameters": {"layers": 2}}, "knows no layers"),
            ({"architecture": "SetTransformer"}, "is no head for staging; choose SleepEventLSTMClassifier"),
        ],
    )
    def test_a_head_that_does_not_fit(self, cohort: NightCohort, tmp_path: Path, head: dict[str, Any], message: str) -> None:
        self.refuse(cohort, tmp_path, message, head=head)

    def test_an_encoder_that_is_none(self, cohort: NightCohort, tmp_path: Path) -> None:
        self.refuse(cohort, tmp_path, "no model named 'nobody'", encoder="nobody")

    def test_settings_of_another_task(self, cohort: NightCohort, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match="finetune disease takes DiseaseSettings"):
            finetune("disease", ask(cohort, "staging"), tmp_path / "run", shelf=cohort.shelf)

    def test_settings_without_nights_or_with_cut_epochs(self, cohort: NightCohort) -> None:
        with pytest.raises(ValueError, match="give signals files or folders, or embeddings"):
            ask(cohort, "staging", embeddings=None)
        with pytest.raises(ValueError, match="multiple of 6"):
            ask(cohort, "staging", crop_tokens=100)


def _report_every_step(trainer: Any) -> None:
    try:
        trainer._progress(0.5, f"step {trainer.course.step} of many")
    except Cancelled:
        trainer._stop.set()


def _finetune_in_group(rank: int, settings: dict[str, Any], shelf: str, out: str) -> dict[str, Any]:
    """Fine-tune staging as one of two processes whose group is there already."""
    torch.set_num_threads(1)

    @contextmanager
    def joined(_device: str) -> Iterator[Team]:
        yield Team(rank, 2, rank)

    finetuning.join_team = joined  # type: ignore[assignment]
    outcome, about = finetune("staging", SETTINGS_OF["staging"].model_validate(settings), Path(out), shelf=Shelf(Path(shelf)))
    return {"best": outcome.course.best, "told": bool(about)}


def _hazard_losses(rank: int, size: int, folder: str, out: str) -> dict[str, Any]:
    """Train a disease head in one of `size` processes and return its losses."""
    torch.set_num_threads(1)
    cohort = Path(folder)
    files = sorted((cohort / "embeddings" / "5s").iterdir())
    from sleepfm.training.nights import open_nights

    nights, _ = open_nights({path.stem: path for path in files}, {}, memory_bytes=1e9)
    reader = FollowUpReader(cohort / "is_event.csv", cohort / "time_to_event.csv", tuple(nights))
    labelled = [reader.label(night)[0] for night in nights.values()]
    torch.manual_seed(0)
    head = DiseaseHead(embed_dim=EMBED_DIM, pooling_head=2, num_classes=3, dropout=0.0, max_seq_length=480, demographics=0)
    learner = DiseaseLearner(head, torch.device("cpu"), columns=np.arange(3))
    settings = TrainingSettings(epochs=4, batch_size=3, accumulate=2, validate_every=3)
    loaders = [
        NightLoader(part, batch_size=batch, seed=0, crop_tokens=crop, one_each=True, shuffle=shuffle, rank=rank, world=size)
        for part, batch, crop, shuffle in ((labelled[:7], 3, 60, True), (labelled[7:], 5, None, False))
    ]
    run = RunFolder(Path(out), settings, resume=False, leads=rank == 0)
    Trainer(learner, settings, run, train=loaders[0], validate=loaders[1], team=Team(rank, size, rank)).run()
    run.close()
    lines = metrics(Path(out)) if rank == 0 else []
    return {"train": losses(lines), "validation": losses(lines, "validation/loss")}


def test_labels_of_the_cohort_are_those_it_was_made_with(cohort: NightCohort) -> None:
    """The oracle of this file: what readers find is what the cohort's maker put there."""
    reader = BreathingReader(label_files(cohort.folder, (), ""), label_files(cohort.folder, (), ""))
    for labelled in read(cohort, reader):
        known_e = labelled.night.known_epochs()
        np.testing.assert_array_equal(labelled.by_epoch[STAGES][known_e], cohort.stages[labelled.night.study][known_e])
        np.testing.assert_array_equal(labelled.by_epoch["sdb"][known_e], cohort.sdb[labelled.night.study][known_e])
    follow_up = FollowUpReader(cohort.folder / "is_event.csv", cohort.folder / "time_to_event.csv", cohort.studies)
    assert all(one.by_night[KNOWN].all() for one in read(cohort, follow_up))
