"""One night on its way through the engines: where it came from, and what was derived from it so far.

A derived file is named by the key of what it came from, so one that is there is right, and deleting it only costs its making.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from sleepfm.errors import RequestError
from sleepfm.inference.cache import key
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.embedding_files import Embeddings, embedding_paths, read_embeddings
from sleepfm.models.shelf import ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.derivations import corrections_text
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityReport, assess
from sleepfm.recording.recording import Recording
from sleepfm.signals.conversion import ConvertRecord, convert_file
from sleepfm.signals.store import SignalsFile, open_signals
from sleepfm.signals.study_ids import study_id
from sleepfm.signals.vitals import Vitals, measure_vitals
from sleepfm.vocabulary import Kind


@dataclass
class Night:
    """A recording, or a signals file, and the folder for what is derived from it.

    Attributes
    ----------
    id
        The study's id.
    source
        EDF, BDF, or HDF5 of either layout.
    recording
        The open recording (corrections applied), None when the source is a signals file.
    work
        Folder for derived files.
    corrections
        What users corrected of the recording's channels.
    sha256
        Of the source, when it is known already.
    bad
        Index of each channel that is bad for most of the night, with the reason; None until somebody has looked.
    judged, measured
        The recording's quality and vitals, when they are known already; see `quality` and `vitals`.
    """

    id: str
    source: Path
    recording: Recording | None
    work: Path
    corrections: Mapping[int, Kind] = field(default_factory=dict)
    sha256: str | None = None
    bad: Mapping[int, str] | None = None
    converted: ConvertRecord | None = None
    judged: QualityReport | None = None
    measured: Vitals | None = None

    @property
    def name(self) -> str:
        """What to call the night in messages."""
        return str(self.source)

    def signals_file(self, recipe: str, progress: Progress = silent) -> Path:
        """Return the night's signals file, converted when it is not there yet."""
        if self.recording is None:
            return self.source
        self.sha256 = self.sha256 or fingerprint(self.source, part(progress, 0.0, 0.2))
        made_from = {
            "source": self.sha256,
            "recipe": recipe,
            "corrections": {str(k): v.value for k, v in self.corrections.items()},
        }
        target = self.work / f"signals-{key('signals', made_from)[:16]}.hdf5"
        if not target.is_file():
            for old in self.work.glob("signals-*.hdf5"):
                old.unlink()
            self.converted = convert_file(
                self.source,
                target,
                record_id=self.id,
                recipe=recipe,
                corrections=self.corrections,
                progress=part(progress, 0.2, 1.0),
            )
        return target

    def signals(self) -> AbstractContextManager[SignalsFile]:
        """Open the source as the signals file that it is."""
        return open_signals(self.source)

    def embeddings(
        self, encoder: ShelfEntry, *, device: Device = "auto", precision: Precision = "fp32", progress: Progress = silent
    ) -> Embeddings:
        """Return the night's embeddings per 5 s, made when they are not there yet.

        Raises
        ------
        ModelError
            When the signals were made by another recipe than the encoder's.
        RecordingError
            When no channel is usable.
        """
        from sleepfm.inference.embedding import embed_into  # noqa: PLC0415 - torch
        from sleepfm.models.networks import load_model  # noqa: PLC0415

        model = load_model(encoder.folder)
        recipe = "published" if model.card.signals is None else model.card.signals.recipe
        signals = self.signals_file(recipe, part(progress, 0.0, 0.25))
        files = self.embedding_files(encoder)
        embed_into(
            signals,
            model,
            files,
            record_id=self.id,
            device=device,
            precision=precision,
            bad=self.bad_datasets(signals, part(progress, 0.25, 0.35)),
            reuse=True,
            corrections=corrections_text(self.corrections),
            progress=part(progress, 0.35, 1.0),
        )
        return read_embeddings(files[0])

    def embedding_files(self, encoder: ShelfEntry) -> tuple[Path, Path]:
        """Return where the 5-s and 5-min embeddings of an encoder are kept."""
        return embedding_paths(self.work / "embeddings" / encoder.card.weights_sha256[:16], self.id)

    def quality(self, progress: Progress = silent) -> QualityReport:
        """Return the quality of the recording, judged once; RequestError when the source is a signals file."""
        if self.judged is None:
            self.judged = assess(self._recorded(), progress)
        return self.judged

    def vitals(self, progress: Progress = silent) -> Vitals:
        """Return oxygen, heart rate and position of the recording, measured once; RequestError as for `quality`."""
        if self.measured is None:
            self.measured = measure_vitals(self._recorded(), progress)
        return self.measured

    def _recorded(self) -> Recording:
        if self.recording is None:
            raise RequestError(f"{self.source}: holds signals prepared for the model; this takes the recording itself")
        return self.recording

    def bad_datasets(self, signals: Path, progress: Progress) -> dict[str, str]:
        """Return the datasets of channels that are bad for most of the night, with the reason."""
        if self.recording is None:
            return {}
        if self.bad is None:
            report = self.quality(progress)
            self.bad = {index: report.words(index) for index in report.bad_channels()}
        with h5py.File(signals, "r", locking=False) as file:
            found: dict[str, str] = {}

            def look(name: str, item: h5py.Dataset | h5py.Group) -> None:
                index = item.attrs.get("original_index")
                if isinstance(item, h5py.Dataset) and index is not None and int(index) in (self.bad or {}):
                    found[name.rsplit("/", 1)[-1]] = (self.bad or {})[int(index)]

            file.visititems(look)
        return found


@contextmanager
def open_night(source: Path, work: Path | None = None) -> Iterator[Night]:
    """Open a recording or a signals file; without a `work` folder what is derived from it is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="sleepfm-") as temporary:
        folder = work or Path(temporary)
        if source.is_file() and h5py.is_hdf5(source):
            yield Night(study_id(source), source, None, folder)
            return
        with open_recording(source, mapped=True) as recording:
            yield Night(study_id(source), source, recording, folder)
