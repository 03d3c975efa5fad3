"""Whether the nights of a run have labels, before it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sleepfm.errors import SleepFMError
from sleepfm.recording.scorings.formats import read_events, read_scoring
from sleepfm.training.finetune_settings import BreathingSettings, DiseaseSettings, FinetuneSettings, StagingSettings
from sleepfm.training.finetuning import evenly
from sleepfm.training.head_tasks import DiseaseTask
from sleepfm.training.night_labels import label_files
from sleepfm.training.preflight_checks import OPENED, Findings, Lists, some
from sleepfm.training.preflight_report import CheckState
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES


def check_labels(found: Findings, settings: FinetuneSettings, lists: Lists) -> Lists | None:
    """See that the nights have labels; return the lists of those that do."""
    try:
        if isinstance(settings, DiseaseSettings):
            return _check_follow_up(found, settings, lists)
        assert isinstance(settings, StagingSettings | BreathingSettings)
        return _check_scorings(found, settings, lists)
    except SleepFMError as error:
        found.bad("labels", error)
        return None


def _check_scorings(found: Findings, settings: StagingSettings | BreathingSettings, lists: Lists) -> Lists | None:
    signals = settings.data.signals
    scorings = label_files(settings.scorings, signals, "scorings")
    events = label_files(settings.events, signals, "events") if isinstance(settings, BreathingSettings) else None
    there: dict[str, list[Path]] = {}
    why: dict[str, str] = {}
    for study in dict.fromkeys((*lists.train, *lists.validation)):
        try:
            there[study] = [scorings.scoring(study), *([] if events is None else [events.events(study)])]
        except SleepFMError as error:
            why[study] = f"{study} {error}"
    labelled = lists.only(there)
    counts: Counter[int] = Counter()
    unreadable: dict[str, str] = {}
    read = 0
    for name, studies in labelled:
        _, wanted = next(pair for pair in lists if pair[0] == name)
        if not studies:
            found.bad("labels", f"none of the {len(wanted)} studies for {name} has labels; {why[wanted[0]]}")
            return None
        sample = evenly(studies, OPENED)
        read += len(sample)
        bad = {study: reason for study in sample if (reason := _unreadable(there[study], counts, of_training=name == "training"))}
        unreadable |= bad
        if len(bad) == len(sample):
            found.bad(
                "labels", f"no labels of the {len(sample)} studies for {name} that were opened can be read; {bad[sample[0]]}"
            )
            return None
    used = [STAGE_NAMES[stage] for stage in SCORED_STAGES if counts[stage]]
    if isinstance(settings, StagingSettings) and len(used) < 2:
        every = "" if len(labelled.train) <= OPENED else f" of {OPENED} that were opened"
        state: CheckState = "doubtful" if every else "bad"
        only = used[0] if used else "no stage"
        found.add("labels", state, f"the training nights{every} hold only {only}: there is nothing to tell apart")
        return labelled if every else None
    lacking = [study for study in why if study in {*lists.train, *lists.validation}]
    words = (
        f"{len(labelled.train)} of {len(lists.train)} nights for training and {len(labelled.validation)} of"
        f" {len(lists.validation)} for validation have labels; {read} were read"
    )
    if unreadable:
        study, reason = next(iter(unreadable.items()))
        words += f", {len(unreadable)} cannot be: {reason}"
    if lacking:
        words += f"; without: {some(lacking)}"
    found.add("labels", "doubtful" if lacking or unreadable else "good", words)
    return labelled


def _unreadable(files: Sequence[Path], counts: Counter[int], *, of_training: bool) -> str | None:
    """Count the stages of a scoring, of training nights; return why it, or the events, cannot be read."""
    scoring, *events = files
    try:
        stages_e = read_scoring(scoring).stages
        for path in events:
            read_events(path)
    except SleepFMError as error:
        return str(error)
    if not (stages_e >= 0).any():
        return f"{scoring}: scores no epoch"
    if of_training:
        counts.update(stages_e[stages_e >= 0].tolist())
    return None


def _check_follow_up(found: Findings, settings: DiseaseSettings, lists: Lists) -> Lists | None:
    studies = tuple(dict.fromkeys((*lists.train, *lists.validation)))
    reader = DiseaseTask(settings, studies).reader
    labelled = lists.only(reader.studies)
    for (name, kept), (_, wanted) in zip(labelled, lists, strict=True):
        if not kept:
            found.bad("labels", f"none of the {len(wanted)} studies for {name} has a usable follow-up in {settings.is_event}")
            return None
    events_k = reader.events(labelled.train)
    learned = int(np.count_nonzero(events_k))
    if not learned:
        found.bad("labels", "no training night has an event of any condition: there is nothing to learn")
        return None
    if not reader.events(labelled.validation)[events_k > 0].any():
        found.bad(
            "labels", "no validation night has an event of these conditions: nothing could say when to stop; add people to it"
        )
        return None
    lacking = [study for study in studies if study not in reader.studies]
    words = (
        f"{len(labelled.train)} of {len(lists.train)} people's nights for training have a follow-up; {learned} of {len(events_k)}"
        f" conditions came at least once, {int(events_k.sum())} events in all"
    )
    if lacking:
        words += f"; without: {some(lacking)}"
    found.add("labels", "doubtful" if lacking or learned < len(events_k) else "good", words)
    return labelled
