"""What can be looked at before a run without running it: the name, the device, people, the disk."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.inference.device import Device, available_cores, place
from sleepfm.models.shelf import Shelf
from sleepfm.text import printable, size_words
from sleepfm.training.finetune_settings import FinetuneSettings
from sleepfm.training.finetuning import evenly
from sleepfm.training.preflight_report import Check, CheckState
from sleepfm.training.run_folder import CONFIG_FILE
from sleepfm.training.settings import PretrainSettings
from sleepfm.training.splits import read_splits, read_subjects, share_of_subjects

OPENED = 16
"""So many files of a list are opened and looked through; of a smaller list all."""
NAMED = 3
"""So many studies are named in a line."""


@dataclass
class Findings:
    """The checks so far."""

    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, state: CheckState, words: str) -> None:
        """Note what one check found."""
        self.checks.append(Check(name, state, printable(words)))

    def bad(self, name: str, error: Exception | str) -> None:
        """Note what stands in the way."""
        self.add(name, "bad", str(error))


@dataclass(frozen=True)
class Lists:
    """Who is trained on and who decides when to stop.

    Attributes
    ----------
    train, validation
        Study ids.
    subject_of
        As the table of people says.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    subject_of: Mapping[str, str]

    def only(self, studies: Collection[str]) -> Lists:
        """Return the lists without the other studies."""
        return Lists(
            tuple(study for study in self.train if study in studies),
            tuple(study for study in self.validation if study in studies),
            self.subject_of,
        )

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from (("training", self.train), ("validation", self.validation))


def check_name(found: Findings, name: str, shelf: Shelf, folder: Path, *, resume: bool, open_runs: Collection[str]) -> None:
    """See that nothing is called like this already."""
    if (shelf.root / name).is_dir() and not resume:
        found.bad("name", f"the shelf has a model named {name} already; choose another name")
    elif name in open_runs:
        found.bad("name", f"a run named {name} is waiting or running; choose another name, or wait for it")
    elif (folder / CONFIG_FILE).exists() and not resume:
        found.bad("name", f"{folder}: a run is there already; go on with --resume, or choose another name or --out")
    else:
        found.add("name", "good", f"{name} is free")


def check_device(found: Findings, device: Device, devices: int) -> bool:
    """See that the device is there, and as many of them as are wanted."""
    import torch  # noqa: PLC0415 - loaded by now; named where it is used

    try:
        where = place(device).device
    except RequestError as error:
        found.bad("device", f"{error}. Set training.device to auto or cpu, or run on a machine with a GPU")
        return False
    if where == "cuda":
        count = torch.cuda.device_count()
        if devices > count:
            found.bad("device", f"{devices} GPUs are asked for, {count} {'is' if count == 1 else 'are'} here: ask for {count}")
            return False
        found.add("device", "good", f"{devices} of {count} GPUs: {torch.cuda.get_device_name(0)}")
    else:
        found.add("device", "good", f"the CPU with {available_cores()} cores{'' if device == 'cpu' else ' (no GPU is here)'}")
    return True


def check_people(found: Findings, settings: PretrainSettings | FinetuneSettings, most_validation: int | None) -> Lists | None:
    """See that the lists can be read, are not empty, and that nobody stands in two of them."""
    data = settings.data
    try:
        subject_of = read_subjects(data.cohort)
        splits = read_splits(data.splits, subject_of)
    except SleepFMError as error:
        found.bad("people", error)
        return None
    listed = splits.of(data.lists)
    names = " and ".join(data.lists)
    if not listed:
        there = ", ".join(f"{name} {len(getattr(splits, name))}" for name in ("pretrain", "train", "validation", "test"))
        found.bad(
            "people", f"{data.splits}: nobody is in {names}, which is to be trained on (it holds {there}); change data.lists"
        )
        return None
    if not splits.validation:
        found.bad(
            "people", f"{data.splits}: nobody is in validation: no one could say when to stop. Make lists with a share for it"
        )
        return None
    train = share_of_subjects(listed, subject_of, data.fraction, settings.training.seed)
    validation = splits.validation if most_validation is None else evenly(splits.validation, most_validation)
    lists = Lists(train, validation, subject_of)

    def people(studies: Sequence[str]) -> int:
        return len({subject_of.get(study, study) for study in studies})

    words = (
        f"{people(train)} people ({len(train)} studies) are trained on, {people(validation)} ({len(validation)}) decide when to"
        f" stop, {people(splits.test)} are kept for testing; nobody stands in two lists"
    )
    unnamed = sum(study not in subject_of for study in (*listed, *splits.validation, *splits.test))
    if unnamed:
        where = (
            "no table of people is given (data.cohort)"
            if data.cohort is None
            else f"{data.cohort} does not name {unnamed} of them"
        )
        found.add("people", "doubtful", f"{words}, as far as is known: {where}, so each such study counts as a person of its own")
    else:
        found.add("people", "good", words)
    return lists


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def check_disk(found: Findings, needs_mb: Mapping[Path, float]) -> None:
    """See that what a run writes fits: by folder, in MB; folders of one disk are taken together."""
    by_disk: dict[int, tuple[Path, float]] = {}
    for folder, needed in needs_mb.items():
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
        device = there.stat().st_dev
        first, before = by_disk.get(device, (there, 0.0))
        by_disk[device] = (first, before + needed)
    worst: CheckState = "good"
    words = []
    for folder, needed in by_disk.values():
        free = shutil.disk_usage(folder).free / 1e6
        state: CheckState = "bad" if free < needed else "doubtful" if free < 2 * needed else "good"
        worst = max(worst, state, key=("good", "doubtful", "bad").index)
        remedy = "; free some space, or choose another folder" if state != "good" else ""
        said = f"take about {size_words(1e6 * needed)}, {size_words(1e6 * free)} are free"
        words.append(f"{folder}: checkpoints, embeddings and the model {said}{remedy}")
    found.add("disk", worst, "; ".join(words))
