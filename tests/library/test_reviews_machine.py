"""Two people on one night: whatever they do, undo and repeat, the review is what a simple model says, and the log tells all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from make_edf import write_edf

from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits, can_undo_redo
from sleepfm.library.review_log import changes_since
from sleepfm.library.review_patch import Patch, parse_patch
from sleepfm.library.review_standing import scored_by_hand
from sleepfm.library.reviews import document, one_moment, review
from sleepfm.library.standing_events import standing_events
from sleepfm.recording.scorings.scoring import Event, Scoring

EPOCHS, SECONDS = 6, 190
USERS = st.sampled_from(("ada", "bob"))
STAGES = st.integers(-1, 4)
CHANGES = st.dictionaries(st.integers(1, EPOCHS), STAGES, min_size=1, max_size=4)
IDS = st.sampled_from(("x", "y", "z"))
EVENTS = st.none() | st.builds(
    Event, st.integers(0, 90), st.integers(91, SECONDS), st.sampled_from(("Arousal", "Hypopnea")), extra=st.just({"n": 1.0})
)


@dataclass
class Stacks:
    """What one user can undo and redo: edits by their key."""

    undo: list[tuple[str, Patch]] = field(default_factory=list)
    redo: list[tuple[str, Patch]] = field(default_factory=list)


class TwoPeople(RuleBasedStateMachine):
    folder: Path
    names = itertools.count()

    @initialize(stages=st.lists(STAGES, min_size=EPOCHS, max_size=EPOCHS))
    def begin_a_review(self, stages: list[int]) -> None:
        self.library = Library.open(self.folder / "home")
        provenance = {"label": "E", "note": "", "source_sha256": "0" * 64}
        base = self.library.store_scoring(
            "night", Scoring(np.array(stages, np.int8)), engine="e", model="", provenance=provenance
        )
        self.scoring = begin(self.library, "night", scorer=f"scorer {next(self.names)}", user="ada", base=base)
        self.proposed, self.stages = stages, stages.copy()
        self.events: dict[str, Event] = {}
        self.stacks = {"ada": Stacks(), "bob": Stacks()}
        self.keys = (f"k{number}" for number in itertools.count())
        self.sent: list[Edit] = []
        self.resets: set[str] = set()

    def teardown(self) -> None:
        self.library.close()

    def send(self, user: str, *edits: Edit) -> Any:
        """Ask for edits as a browser does: by way of JSON."""
        asked = [
            Edit(one.key, one.action, parse_patch(one.patch.as_json(), epochs=EPOCHS, duration_s=SECONDS))
            if len(one.patch)
            else one
            for one in edits
        ]
        return apply_edits(self.library, self.scoring, asked, user=user)

    def lay(self, patch: Patch) -> Patch:
        """Do what stands of a patch and return it."""
        stages = tuple(change for change in patch.stages if self.stages[change[0] - 1] == change[1])
        events = tuple(change for change in patch.events if self.events.get(change[0]) == change[1])
        for epoch, _, after in stages:
            self.stages[epoch - 1] = after
        for identifier, _, after in events:
            self.events.pop(identifier, None)
            if after is not None:
                self.events[identifier] = after
        return Patch(stages, events)

    def do(self, user: str, key: str, patch: Patch) -> None:
        self.lay(patch)
        self.stacks[user].undo.append((key, patch))
        self.stacks[user].redo.clear()

    def patch(self, stages: dict[int, int], events: dict[str, Event | None]) -> Patch:
        found = tuple((one, self.events.get(one), event) for one, event in events.items())
        return Patch(
            tuple((epoch, self.stages[epoch - 1], to) for epoch, to in stages.items()),
            tuple(change for change in found if change[1] is not None or change[2] is not None),
        )

    @rule(user=USERS, stages=CHANGES)
    def score(self, user: str, stages: dict[int, int]) -> None:
        patch = self.patch(stages, {})
        edit = Edit(next(self.keys), "score", patch)
        assert self.send(user, edit).refused == ()
        self.sent.append(edit)
        self.do(user, edit.key, patch)

    @rule(user=USERS, events=st.dictionaries(IDS, EVENTS, min_size=1, max_size=2))
    def mark_events(self, user: str, events: dict[str, Event | None]) -> None:
        patch = self.patch({}, events)
        if not len(patch):
            return
        edit = Edit(next(self.keys), "event", patch)
        assert self.send(user, edit).refused == ()
        self.do(user, edit.key, patch)

    @rule(user=USERS, stages=CHANGES, wrong=st.integers(1, EPOCHS), behind=st.integers(1, EPOCHS))
    def expect_something_else(self, user: str, stages: dict[int, int], wrong: int, behind: int) -> None:
        good = Edit(next(self.keys), "score", self.patch(stages, {}))
        self.do(user, good.key, good.patch)
        stood = self.stages[wrong - 1]
        bad = Edit(next(self.keys), "score", Patch(((wrong, (stood + 2) % 5, 0),), (("new", None, Event(1, 2, "Arousal")),)))
        last = Edit(next(self.keys), "score", self.patch({behind: 2}, {}))
        outcome = self.send(user, good, bad, last)
        assert outcome.refused == (bad.key, last.key)
        assert f"epoch {wrong} is" in outcome.conflict

    @rule(user=USERS)
    def send_again(self, user: str) -> None:
        if self.sent:
            assert self.send(user, *self.sent[-3:]).refused == ()

    @rule(user=USERS, times=st.integers(1, 3), together=st.booleans())
    def undo(self, user: str, times: int, together: bool) -> None:
        edits = [Edit(next(self.keys), "undo") for _ in range(times)]
        for sent in [edits] if together else [[edit] for edit in edits]:
            assert self.send(user, *sent).refused == ()
        mine = self.stacks[user]
        for _ in range(min(times, len(mine.undo))):
            key, patch = mine.undo.pop()
            self.lay(patch.inverse())
            mine.redo.append((key, patch))

    @rule(user=USERS, times=st.integers(1, 3))
    def redo(self, user: str, times: int) -> None:
        mine = self.stacks[user]
        for _ in range(times):
            assert self.send(user, Edit(next(self.keys), "redo")).refused == ()
            if mine.redo:
                key, patch = mine.redo.pop()
                self.lay(patch)
                mine.undo.append((key, patch))

    @rule(user=USERS, at=st.integers(0, 5), redo=st.booleans())
    def turn_one_that_is_not_the_newest(self, user: str, at: int, *, redo: bool) -> None:
        """As another window of the same user asks for it, which knows nothing of the later ones."""
        mine, action = self.stacks[user], "redo" if redo else "undo"
        there, other = (mine.redo, mine.undo) if redo else (mine.undo, mine.redo)
        if at >= len(there):
            return
        key, patch = there[at]
        assert self.send(user, Edit(next(self.keys), action, of=key)).refused == ()
        if key not in self.resets or at == len(there) - 1:
            del there[at]
            self.lay(patch if redo else patch.inverse())
            other.append((key, patch))

    @rule(user=USERS, redo=st.booleans())
    def turn_what_cannot_be(self, user: str, *, redo: bool) -> None:
        """Of somebody else, of nobody, or turned already."""
        mine, theirs = self.stacks[user], self.stacks["bob" if user == "ada" else "ada"]
        for key, _ in [*(mine.undo if redo else mine.redo), *theirs.undo, *theirs.redo, ("never-sent", None)][:3]:
            assert self.send(user, Edit(next(self.keys), "redo" if redo else "undo", of=key)).refused == ()

    @rule(user=USERS)
    def reset_stages(self, user: str) -> None:
        patch = self.patch({e + 1: to for e, to in enumerate(self.proposed) if self.stages[e] != to}, {})
        edit = Edit(next(self.keys), "reset stages")
        assert self.send(user, edit).refused == ()
        if len(patch):
            self.do(user, edit.key, patch)
            self.resets.add(edit.key)

    @rule(user=USERS)
    def reset_events(self, user: str) -> None:
        patch = self.patch({}, dict.fromkeys(self.events))
        edit = Edit(next(self.keys), "reset events")
        assert self.send(user, edit).refused == ()
        if len(patch):
            self.do(user, edit.key, patch)
            self.resets.add(edit.key)

    @rule()
    def restart(self) -> None:
        self.library.close()
        self.library = Library.open(self.folder / "home")

    @invariant()
    def is_what_the_model_says(self) -> None:
        found = document(self.library, self.scoring)
        assert found.stages.tolist() == self.stages
        assert found.events == self.events
        for user, stacks in self.stacks.items():
            assert can_undo_redo(self.library, self.scoring, user) == (bool(stacks.undo), bool(stacks.redo))

    @invariant()
    def what_memory_keeps_is_what_stands(self) -> None:
        with one_moment(self.library.connection):
            about = review(self.library, self.scoring)
            kept = standing_events(self.library.home, self.library.connection, about)
        assert kept == tuple(document(self.library, self.scoring).events.values())

    @invariant()
    def the_log_tells_the_whole_story(self) -> None:
        stages, events = self.proposed.copy(), dict[str, Event]()
        log = changes_since(self.library, self.scoring, 0)
        for entry in log:
            for epoch, before, after in entry.patch.stages:
                assert stages[epoch - 1] == before
                stages[epoch - 1] = after
            for identifier, found, later in entry.patch.events:
                assert events.pop(identifier, None) == found
                if later is not None:
                    events[identifier] = later
        assert (stages, events) == (self.stages, self.events)
        assert log[-1].id == document(self.library, self.scoring).review.version
        changed = np.array(self.stages) != np.array(self.proposed)
        assert not (changed & ~scored_by_hand(self.library.connection, self.scoring)).any()


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_two_people_undo_and_redo_their_own_and_the_log_tells_it(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        library.store_hash(library.add(write_edf(tmp_path / "night.edf", seconds=SECONDS, labels=("C4-M1",))).id, "0" * 64)

    class Machine(TwoPeople):
        folder = tmp_path

    found = settings(max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Machine, settings=found)  # type: ignore[no-untyped-call]
