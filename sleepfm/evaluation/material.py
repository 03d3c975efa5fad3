"""What an evaluation is made of: models from the shelf, the test set's embedded nights, and whom the models have seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.evaluation.cohort_data import CohortFiles, open_cohort, signal_sources
from sleepfm.evaluation.evaluation import Evaluation, Section, Table
from sleepfm.evaluation.held_out import HeldOut, seen_in_pretraining
from sleepfm.evaluation.run_settings import EvaluateSettings
from sleepfm.evaluation.training_people import TrainedOn, trained_on
from sleepfm.inference.embedding import coding_of, embed_into
from sleepfm.inference.embedding_files import embedding_paths
from sleepfm.inference.night import open_night
from sleepfm.models.card import ModelCard, Task
from sleepfm.models.networks import Model, load_model
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.signals.store import StoredChannel, open_signals
from sleepfm.text import printable
from sleepfm.training.night_embeddings import NightFiles, embed_nights
from sleepfm.training.night_labels import Gathered, LabelReader, gather_nights
from sleepfm.training.nights import LabelledNight
from sleepfm.vocabulary import Modality

ECG_LEADS = "ecg_leads"
"""The column that says what the EKG modality of a recording was made of."""


class Material:
    """The test set and the models' view of it.

    Parameters
    ----------
    settings
        What to do.
    folder
        Of the evaluation.
    shelf
        Where the models are.
    runs
        Where the folders of the runs are that made them.
    encoder
        Whose embeddings the evaluation is about.

    Raises
    ------
    RequestError, SleepFMError
        As of `open_cohort`.
    """

    def __init__(
        self,
        settings: EvaluateSettings,
        folder: Path,
        *,
        shelf: Shelf,
        runs: Path,
        encoder: ShelfEntry,
        progress: Progress = silent,
    ) -> None:
        if encoder.card.signals is None:
            raise RequestError(f"{encoder.name} is a head for {encoder.card.task}, not an encoder; name an encoder")
        self.settings = settings
        self.shelf = shelf
        self.encoder = encoder
        self._runs = runs
        self._cache = settings.embeddings or folder / "embeddings"
        self.cohort: CohortFiles = open_cohort(settings.data, folder, recipe=encoder.card.signals.recipe, progress=progress)
        self.warnings: list[str] = list(self.cohort.warnings)

    def nights(self, reader: LabelReader, encoder: ShelfEntry, studies: Sequence[str], progress: Progress = silent) -> Gathered:
        """Return the nights of some studies, embedded by an encoder, with their labels."""
        same = encoder.card.weights_sha256 == self.encoder.card.weights_sha256
        found = embed_nights(
            studies,
            self.cohort.signals,
            encoder,
            self._cache if same else self._cache / encoder.name,
            device=self.settings.device,
            precision=self.settings.precision,
            workers=self.settings.threads,
            progress=progress,
        )
        return gather_nights(reader, found, self.cohort.subject_of, memory_gb=self.settings.memory_gb)

    def nights_without(
        self,
        missing: Collection[str],
        case: str,
        reader: LabelReader,
        studies: Sequence[str],
        progress: Progress = silent,
    ) -> Gathered:
        """Return the nights as their recordings would give them without the channels of these kinds or labels.

        A study whose other channels give no embedding is left out.
        """
        wanted = {name.casefold() for name in missing}

        def lacks(channel: StoredChannel) -> bool:
            return channel.kind.value.casefold() in wanted or channel.label.casefold() in wanted

        model = load_model(self.encoder.folder)
        cache = self._cache / f"without-{'-'.join(ch for ch in case if ch.isalnum())}"
        every = signal_sources(self.cohort.signals) if self.cohort.signals else {}
        sources = {study: every[study] for study in studies if study in every}
        files, left_out = {}, {study: "no signals file was found" for study in studies if study not in sources}
        for number, (study, source) in enumerate(sources.items()):
            here = part(progress, number / len(sources), (number + 1) / len(sources))
            try:
                target = embedding_paths(cache, study)
                self._embed_without(source, target, lacks, model, progress=here)
                files[study] = target[0]
            except Cancelled:
                raise
            except SleepFMError as error:
                left_out[study] = str(error)
        return gather_nights(reader, NightFiles(files, left_out), self.cohort.subject_of, memory_gb=self.settings.memory_gb)

    def _embed_without(
        self, source: Path, target: tuple[Path, Path], lacks: Callable[[StoredChannel], bool], model: Model, *, progress: Progress
    ) -> None:
        with open_night(source) as night:
            path = night.signals_file(coding_of(model).recipe, part(progress, 0.0, 0.3))
            bad = night.bad_datasets(path, part(progress, 0.3, 0.4))
            with open_signals(path) as signals:
                bad |= {channel.name: "left out to see what it matters" for channel in signals.channels if lacks(channel)}
            embed_into(
                path,
                model,
                target,
                record_id=target[0].stem,
                device=self.settings.device,
                precision=self.settings.precision,
                workers=self.settings.threads,
                bad=bad,
                reuse=True,
                progress=part(progress, 0.4, 1.0),
            )

    def head(self, name: str, task: Task) -> tuple[Model, ShelfEntry]:
        """Return a head of this task by its name on the shelf, and its encoder; RequestError when it does something else."""
        entry = self.shelf.get(name)
        if entry.card.task is not task:
            raise RequestError(f"{name} is a model for {entry.card.task}, not for {task}")
        return load_model(entry.folder), self.shelf.encoder_of(entry.card)

    def held_out(self, gathered: Gathered, heads: Sequence[ModelCard] = ()) -> HeldOut:
        """Return the test set of the nights that are there, without the people whom the heads were trained on.

        Raises
        ------
        RequestError
            When nobody is left.
        """
        nights = gathered.nights
        pretraining = self.trained_on(self.encoder.card)
        if not pretraining.known:
            self.warn(pretraining.why)
        recordings = tuple(nights)
        held_out = self.cohort.held_out(
            recordings,
            left_out=gathered.left_out,
            seen=self._seen(recordings, pretraining),
            simulated=any(one.night.origin.simulated for one in nights.values()),
            more={ECG_LEADS: _ecg_leads(list(nights.values()))} if self.settings.ecg_configurations else None,
        )
        for card in heads:
            found = self.trained_on(card)
            if not found.known:
                self.warn(
                    f"it is not known on which recordings {card.name} was trained ({found.why}): these people may be among them"
                )
                continue
            taught = self._seen(held_out.recordings, found) or frozenset()
            kept_n = np.array([name not in taught for name in held_out.recordings], dtype=bool)
            if recordings and not kept_n.any():
                raise RequestError(
                    f"{card.name} was trained on every person of the test set: nothing is held out; choose other recordings"
                )
            held_out = held_out.only(kept_n, f"{card.name} was trained on this person")
        return held_out

    def trained_on(self, card: ModelCard) -> TrainedOn:
        """Return whom a model was trained on; a cohort that its card names is told in a warning when its people are not known."""
        found = trained_on(card, self._runs, self.settings.trained_in, self.shelf)
        named = [name.strip().casefold() for name in card.trained_on.split(",")]
        if not found.known and self.cohort.source.casefold() in named:
            self.warn(f"{card.name} was trained on people of {self.cohort.source}, its card says; which ones is not known")
        return found

    def refuse_nothing(self, gathered: Gathered) -> None:
        """Raise RequestError, with the first reason, when no recording can be tested."""
        if not gathered.nights:
            why = next((f"; {study}: {reason}" for study, reason in gathered.left_out.items()), "")
            raise RequestError(f"{self.cohort.name}: no recording can be tested{why}")

    def finished(self, evaluation: Evaluation, gathered: Gathered) -> Evaluation:
        """Return the evaluation with the warnings, and with what did not fit in recordings that are tested all the same."""
        rows = tuple((printable(study), printable(note)) for study, notes in gathered.notes.items() for note in notes)
        if rows:
            table = Table("remarks", "Remarks", ("recording", "remark"), rows)
            text = "Recordings that are tested although something in their labels did not fit."
            evaluation = evaluation.with_sections(Section("Remarks on recordings", text, (table,)))
        return replace(evaluation, warnings=(*evaluation.warnings, *self.warnings))

    def warn(self, text: str) -> None:
        """Remember what a reader must know, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def _seen(self, recordings: Sequence[str], found: TrainedOn) -> frozenset[str] | None:
        if not found.known:
            return None
        subject_of: Mapping[str, str] = {**dict(found.subject_of), **self.cohort.subject_of}
        return seen_in_pretraining(recordings, subject_of, found.studies)


def _ecg_leads(nights: Sequence[LabelledNight]) -> np.ndarray:
    labels = [one.night.origin.channels.get(Modality.EKG, ()) for one in nights]
    return np.array([" + ".join(sorted(found)) if found else "no ECG" for found in labels], dtype=str)
