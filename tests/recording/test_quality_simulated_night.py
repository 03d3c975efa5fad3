"""Where the simulated night says that a lead came off or popped, quality says so too, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityFlag, assess
from sleepfm.recording.scorings.formats import read_events
from sleepfm.simulation.study import simulate
from sleepfm.vocabulary import EPOCH_S, EventName


@pytest.mark.parametrize("seed", [1, 9])
def test_the_leads_that_came_off_and_popped_are_found_and_no_other(tmp_path: Path, seed: int) -> None:
    (study,) = simulate(tmp_path, studies=1, hours=1.0, seed=seed)["studies"]
    with open_recording(study["edf"]) as recording:
        report = assess(recording)
        index = {channel.label: channel.index for channel in recording.channels}
    flags = {label: report.of(index[label]).copy() for label in index}
    kinds = set()
    for fault in read_events(Path(study["events"])):
        if fault.name != EventName.ARTIFACT:
            continue
        touched = slice(int(fault.start_s // EPOCH_S), int(np.ceil(fault.stop_s / EPOCH_S)))
        inside = flags[fault.channel][touched][1:-1]
        off, pops = (inside & QualityFlag.DISCONNECTED) != 0, (inside & QualityFlag.POPS) != 0
        assert off.all() or (pops.mean() > 0.5 and not (inside & ~np.uint8(QualityFlag.POPS)).any())
        kinds.add("off" if off.all() else "pops")
        flags[fault.channel][touched] = 0
    assert kinds == {"off", "pops"}
    others = ~np.uint8(QualityFlag.LINE_NOISE)  # some hum is in every lead; in a quiet muscle it may be much of the power
    assert [label for label, of_epochs in flags.items() if (of_epochs & others).any()] == []
