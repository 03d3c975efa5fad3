"""Embeddings of the nights that a head is trained on: made once by the inference engine, shared between runs, never stale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

import sleepfm
from sleepfm.errors import Cancelled, ModelError, RecordingError, RequestError, SleepFMError
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.embed_many import SUFFIXES
from sleepfm.inference.embedding import coding_of, embed
from sleepfm.inference.embedding_files import embedding_paths, read_embeddings
from sleepfm.inference.night import open_night
from sleepfm.models.card import Task, read_card
from sleepfm.models.networks import Model, load_model
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.signals.convert import SIGNAL_SUFFIXES, find_recordings
from sleepfm.signals.study_ids import study_id
from sleepfm.training.processes import Team

_EMBEDDING_FOLDERS = ("5s", "5min")


@dataclass(frozen=True)
class NightFiles:
    """The file of 5-s embeddings of each study, and why a study has none."""

    files: dict[str, Path]
    left_out: dict[str, str]


def find_encoder(name: str, shelf: Shelf) -> ShelfEntry:
    """Return an encoder by its name on the shelf or by its folder; RequestError when it is neither, or a head."""
    folder = Path(name)
    entry = ShelfEntry(folder, read_card(folder)) if (folder / "model.json").is_file() else shelf.get(name)
    if entry.card.task is not Task.ENCODER:
        raise RequestError(f"{name} is a head for {entry.card.task}, not an encoder; name an encoder")
    return entry


def embed_nights(
    studies: Sequence[str],
    signals: Sequence[Path],
    encoder: ShelfEntry,
    cache: Path,
    *,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    team: Team | None = None,
    progress: Progress = silent,
) -> NightFiles:
    """Embed the nights of some studies into `cache`/5s and `cache`/5min; the processes of a team share the work.

    What is there already, made from the same signals by the same weights, is kept.

    Parameters
    ----------
    studies
        Whose nights.
    signals
        Signals files or recordings, or folders of them; of a study that has both, the signals file. A study without any is
        taken from `cache` when its embeddings there were made by this encoder.
    workers
        See `sleepfm.inference.device.place`.

    Raises
    ------
    RequestError
        A path of `signals` is missing.
    Cancelled
        `progress` raised it.
    """
    team = team or Team()
    sources = recordings_of(signals, set(studies)) if signals else {}
    model = load_model(encoder.folder)
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    mine = list(dict.fromkeys(studies))[team.rank :: team.size]
    for number, study in enumerate(mine):
        here = part(progress, number / len(mine), (number + 1) / len(mine))
        here(0.0, f"embedding {study}")
        target = embedding_paths(cache, study)[0]
        try:
            if study in sources and not _is_current(target, sources[study], model, precision):
                with open_night(sources[study]) as night:
                    path = night.signals_file(coding_of(model).recipe, part(here, 0.0, 0.3))
                    embed(
                        path,
                        model,
                        cache,
                        record_id=study,
                        device=device,
                        precision=precision,
                        workers=workers,
                        bad=night.bad_datasets(path, part(here, 0.3, 0.4)),
                        reuse=True,
                        progress=part(here, 0.4, 1.0),
                    )
            elif study not in sources:
                _check_made_by(target, model)
            files[study] = target
        except Cancelled:
            raise
        except SleepFMError as error:
            left_out[study] = str(error)
    if team.size == 1:
        return NightFiles(files, left_out)
    shares: list[NightFiles | None] = [None] * team.size
    dist.all_gather_object(shares, NightFiles(files, left_out))
    return NightFiles(
        {study: path for share in shares if share for study, path in share.files.items()},
        {study: why for share in shares if share for study, why in share.left_out.items()},
    )


def recordings_of(signals: Sequence[Path], wanted: Collection[str]) -> Mapping[str, Path]:
    """Return the file of each wanted study: its signals file, else its recording; RequestError when a path is missing."""
    found = [path for path in find_recordings(signals, SUFFIXES) if path.parent.name not in _EMBEDDING_FOLDERS]
    sources: dict[str, Path] = {}
    for of_signals in (True, False):
        taken: set[str] = set()
        for path in found:
            if (path.suffix.lower() in SIGNAL_SUFFIXES) is of_signals:
                identifier = study_id(path, taken)
                taken.add(identifier)
                if identifier in wanted:
                    sources.setdefault(identifier, path)
    return sources


def _is_current(embeddings: Path, source: Path, model: Model, precision: Precision) -> bool:
    """Return whether a recording was embedded already, so that it need not be converted only to find that out.

    Of signals files, which are read in no time, the engine judges itself.
    """
    if source.suffix.lower() in SIGNAL_SUFFIXES or not embeddings.is_file():
        return False
    try:
        origin = read_embeddings(embeddings).origin
    except RecordingError:
        return False
    made_by = (origin.weights_sha256, origin.recipe, origin.precision, origin.sleepfm_version)
    wanted = (model.card.weights_sha256, coding_of(model).recipe, precision, sleepfm.__version__)
    return made_by == wanted and origin.source_sha256 == fingerprint(source)


def _check_made_by(path: Path, model: Model) -> None:
    """Raise when there is no embedding file, or another encoder made it."""
    if not path.is_file():
        raise RequestError(f"no signals file was found, nor embeddings ({path})")
    made_by = read_embeddings(path).origin
    if made_by.weights_sha256 != model.card.weights_sha256:
        raise ModelError(f"{path}: was made by other weights ({made_by.model}) than {model.card.name}'s; embed the signals again")
