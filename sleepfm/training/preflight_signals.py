"""Whether the signals of a run are there and fit, before it runs: a few files of each list are opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sleepfm.errors import MissingChannelsError, RecordingError, RequestError, SleepFMError
from sleepfm.inference.channel_choice import choose_channels
from sleepfm.inference.embedding_files import embedding_paths, read_embeddings
from sleepfm.models.card import SIMULATED, SignalCoding
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, silent
from sleepfm.recording.opening import open_recording
from sleepfm.signals.convert import SIGNAL_SUFFIXES, find_recordings
from sleepfm.signals.store import open_signals
from sleepfm.signals.study_ids import study_id
from sleepfm.training.finetune_settings import FinetuneSettings
from sleepfm.training.finetuning import evenly
from sleepfm.training.night_embeddings import find_encoder, recordings_of
from sleepfm.training.preflight_checks import NAMED, OPENED, Findings, Lists, some
from sleepfm.training.settings import PretrainSettings
from sleepfm.training.windows import TrainingRecording, look_through

_PUBLISHED_RECIPE = "published"


@dataclass
class Opened:
    """Files that were opened: what is usable, why others are not, and whether any is simulated."""

    usable: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    windows: int = 0
    simulated: int = 0
    recordings: dict[str, TrainingRecording] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many were opened."""
        return len(self.usable) + len(self.reasons)


def check_windows(
    found: Findings, settings: PretrainSettings, lists: Lists, progress: Progress = silent
) -> tuple[Lists, dict[str, Opened]] | None:
    """See that the signals of both lists are there and give windows; return the lists of those, and what was opened."""
    try:
        paths = find_recordings(list(settings.data.signals), SIGNAL_SUFFIXES)
    except RequestError as error:
        found.bad("signals", error)
        return None
    files: dict[str, Path] = {}
    for path in paths:
        files[study_id(path, files)] = path
    there = _matched(found, lists, files, settings.data.signals)
    if there is None:
        return None
    training = settings.training
    two_batches = 2 * training.batch_size
    least = {"training": two_batches * min(training.accumulate, 2), "validation": min(two_batches, settings.validation_windows)}
    opened: dict[str, Opened] = {}
    for name, studies in there:
        opened[name] = Opened()
        first = evenly(studies, OPENED)
        for study in (*first, *(study for study in studies if study not in set(first))):
            if opened[name].count >= OPENED and opened[name].windows >= least[name]:
                break  # enough for the trial too
            progress(min(1.0, opened[name].count / OPENED), f"opening {study}")
            _open_windows(opened[name], study, files[study], settings)
    return (there, opened) if _said(found, "recordings", there, opened) else None


def _open_windows(opened: Opened, study: str, path: Path, settings: PretrainSettings) -> None:
    samples = settings.encoder.window_samples
    try:
        recording = look_through(path, study, settings.encoder.coding(), samples)
        windows = len(recording.starts(samples))
        if not windows:
            raise RecordingError(f"{path}: its gaps leave no whole window of {settings.encoder.window_s:g} s")
    except SleepFMError as error:
        opened.reasons[study] = str(error)
        return
    opened.usable.append(study)
    opened.recordings[study] = recording
    opened.windows += windows
    opened.simulated += recording.simulated


def check_nights(
    found: Findings, settings: FinetuneSettings, lists: Lists, encoder: ShelfEntry, progress: Progress = silent
) -> tuple[Lists, dict[str, Opened]] | None:
    """See that the nights of both lists are there and fit the encoder; return the lists of those, and what was opened."""
    studies = {*lists.train, *lists.validation}
    try:
        sources = recordings_of(settings.data.signals, studies) if settings.data.signals else {}
    except RequestError as error:
        found.bad("signals", error)
        return None
    cache = settings.embeddings
    made = {study: embedding_paths(cache, study)[0] for study in studies} if cache is not None else {}
    files = {study: path for study, path in made.items() if path.is_file()} | dict(sources)
    where = (*settings.data.signals, *([] if cache is None else [cache]))
    there = _matched(found, lists, files, where)
    if there is None:
        return None
    opened: dict[str, Opened] = {}
    for name, listed in there:
        opened[name] = Opened()
        for study in evenly(listed, OPENED):
            progress(opened[name].count / OPENED, f"opening {study}")
            try:
                simulated = _look_at_night(files[study], encoder, embedded=study not in sources)
            except SleepFMError as error:
                opened[name].reasons[study] = str(error)
                continue
            opened[name].usable.append(study)
            opened[name].simulated += simulated
    return (there, opened) if _said(found, "recordings", there, opened) else None


def _matched(found: Findings, lists: Lists, files: Collection[str], where: Sequence[Path]) -> Lists | None:
    """Return the lists of the studies that have a file; None, said, when one list has none."""
    there = lists.only(files)
    places = ", ".join(map(str, where))
    for (name, kept), (_, wanted) in zip(there, lists, strict=True):
        if not kept:
            other = f" (files there are called {', '.join(list(files)[:NAMED])})" if files else ""
            found.bad("signals", f"{places}: none of the {len(wanted)} studies for {name} is there, such as {wanted[0]}{other}")
            return None
    missing = [study for (_, wanted) in lists for study in wanted if study not in files]
    total = len(lists.train) + len(lists.validation)
    if missing:
        found.add("signals", "doubtful", f"{len(missing)} of {total} studies have no file in {places}: {some(missing)}")
    else:
        found.add("signals", "good", f"all {total} studies are there")
    return there


def _look_at_night(path: Path, encoder: ShelfEntry, *, embedded: bool) -> bool:
    """Return whether a night is simulated; SleepFMError when this night is of no use for the encoder."""
    coding = encoder.card.signals
    assert coding is not None
    if embedded:
        origin = read_embeddings(path).origin
        if origin.weights_sha256 != encoder.card.weights_sha256:
            raise RecordingError(
                f"{path}: was made by other weights ({origin.model}) than {encoder.name}'s; embed the signals again"
            )
        return origin.simulated
    if path.suffix.lower() not in SIGNAL_SUFFIXES:
        with open_recording(path) as recording:
            if not any(channel.modality in coding.modalities for channel in recording.channels):
                raise MissingChannelsError(f"{path}: no channel that {encoder.name} can use; correct the channels' kinds")
            return recording.simulated
    with open_signals(path) as signals:
        _require_recipe(path, signals.recipe, coding, encoder.name)
        chosen, left_out = choose_channels(signals, coding, {})
        if not chosen or not signals.n_samples:
            reasons = "; ".join(f"{one.modality}: {one.reason}" for one in left_out if not one.label)
            raise MissingChannelsError(f"{path}: no channel that {encoder.name} can use ({reasons})")
        return signals.simulated


def _require_recipe(path: Path, stored: str | None, coding: SignalCoding, encoder: str) -> None:
    recipe = stored or _PUBLISHED_RECIPE
    if recipe != coding.recipe:
        raise RecordingError(
            f"{path}: was made by the recipe {recipe}, but {encoder} was trained on {coding.recipe}: convert the recording with"
            f" --recipe {coding.recipe}"
        )


def _said(found: Findings, name: str, lists: Lists, opened: Mapping[str, Opened]) -> bool:
    """Say what opening files showed; return whether both lists have something usable."""
    count = sum(one.count for one in opened.values())
    every = {study: reason for one in opened.values() for study, reason in one.reasons.items()}
    whole = len(lists.train) + len(lists.validation)
    looked = f"all {count}" if count == whole else f"{count} of {whole}"
    for (list_name, one), (_, studies) in zip(opened.items(), lists, strict=True):
        if not one.usable:
            study, reason = next(iter(one.reasons.items()))
            which = "none" if one.count == len(studies) else f"none of the {one.count} that were opened"
            found.bad(name, f"{which} of the {len(studies)} recordings for {list_name} can be used; {study}: {reason}")
            return False
    if every:
        study, reason = next(iter(every.items()))
        found.add(
            name, "doubtful", f"{len(every)} of the {count} recordings that were opened cannot be used and would be left out;"
            f" {study}: {reason}"
        )  # fmt: skip
    else:
        found.add(name, "good", f"{looked} recordings were opened and can be used")
    return True


def check_encoder(found: Findings, name: str, shelf: Shelf) -> ShelfEntry | None:
    """See that the encoder is there and is one."""
    try:
        encoder = find_encoder(name, shelf)
    except SleepFMError as error:
        found.bad("encoder", error)
        return None
    if encoder.card.signals is None:
        found.bad("encoder", f"{name}: its card does not say what signals it takes; import it anew with its configuration")
        return None
    recipe = encoder.card.signals.recipe
    modalities = ", ".join(encoder.card.signals.modalities)
    found.add("encoder", "good", f"{encoder.name} is there; it takes {modalities} by the recipe {recipe}")
    return encoder


def check_kind_of_nights(found: Findings, encoder: ShelfEntry | None, opened: Mapping[str, Opened]) -> None:
    """Say when simulated and real signals come together."""
    made_up = sum(one.simulated for one in opened.values())
    real = sum(len(one.usable) for one in opened.values()) - made_up
    if made_up and real:
        found.add("simulated", "doubtful", f"{made_up} of {made_up + real} opened recordings are simulated and {real} are real")
    elif encoder is not None and real and encoder.card.trained_on == SIMULATED:
        found.add("simulated", "doubtful", f"the recordings are real, and {encoder.name} was trained on simulated signals only")
