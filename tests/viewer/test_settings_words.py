"""What the settings page says, and where the installation's device and precision stand in forms."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sleepfm.administration.app_settings import AppSettings, change_settings
from sleepfm.administration.readable_folders import ReadableFolders, whole_machine
from sleepfm.administration.retention import OldThing, Sort
from sleepfm.errors import RequestError
from sleepfm.home import Home, open_home
from sleepfm.library.library import Library
from sleepfm.runs.kinds import KINDS
from sleepfm.text import size_words
from sleepfm.training.settings import PretrainSettings
from sleepfm.viewer.form_draft import Draft
from sleepfm.viewer.form_presets import PRESETS, apply_preset
from sleepfm.viewer.runs_words import KIND_WORDS
from sleepfm.viewer.server import sign_in_for
from sleepfm.viewer.settings_backup import download_link
from sleepfm.viewer.settings_words import folder_state, old_rows, studies_outside, things_words
from tests.make_edf import write_edf


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def test_sizes_and_counts_are_said_as_people_do() -> None:
    assert [size_words(n) for n in (0, 340_000, 1_240_000, 3_400_000_000)] == ["0 kB", "340 kB", "1.2 MB", "3.4 GB"]
    assert [things_words(n) for n in (0, 1, 12)] == ["0 things", "1 thing", "12 things"]


def test_what_may_go_is_a_table_in_which_nothing_can_hide() -> None:
    (row,) = old_rows([OldThing(Sort.UPLOAD, "uploads/a\u202eb", 2_500_000, 31.4, "x\x1b[2J.edf")])
    assert row["Of"] == r"x\x1b[2J.edf"
    assert row["File or folder below the home"] == r"uploads/a\u202eb"
    assert (row["Age (days)"], row["Size (MB)"]) == (31, 2.5)


def test_a_download_is_named_by_its_file_and_nothing_breaks_out_of_the_link() -> None:
    link = download_link("backups", Path('/x/a"><script>.tar'))
    assert link.count('"') == 4
    assert "<script" not in link


def test_studies_that_cannot_be_opened_are_counted_by_their_folder(home: Home, tmp_path: Path) -> None:
    change_settings(home, folders=[str(tmp_path / "psg")])
    with whole_machine(), Library(home) as library:
        for name in ("psg/a.edf", "psg/deep/b.edf", "else/c.edf", "else/d.edf", "home/uploads/x/e.edf"):
            library.add(write_edf(tmp_path / name, seconds=10))
        paths = [str(study.path) for study in library.studies()]
    assert studies_outside(paths, ReadableFolders.of(home)) == Counter({tmp_path / "else": 2})


def test_every_kind_of_job_has_a_name_on_the_page_of_runs() -> None:
    assert set(KINDS) == set(KIND_WORDS)


def test_a_folder_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    assert folder_state(tmp_path) == ""
    assert "not there" in folder_state(tmp_path / "gone")
    assert "everything" in folder_state(Path("/"))


def test_forms_begin_with_the_installations_device_and_precision() -> None:
    for preset in PRESETS["pretrain"]:
        plain, chosen = Draft("pretrain", PretrainSettings), Draft("pretrain", PretrainSettings)
        apply_preset(plain, preset, [], AppSettings())
        apply_preset(chosen, preset, [], AppSettings(device="cpu", precision="bf16"))
        assert (chosen.content["training"]["device"], chosen.content["training"]["precision"]) == ("cpu", "bf16")
        for content in (plain.content, chosen.content):
            del content["training"]["device"], content["training"]["precision"]
        assert plain.content == chosen.content


def test_an_app_that_others_reach_asks_for_folders_after_it_has_somebody_to_sign_in(home: Home) -> None:
    assert sign_in_for(home, "127.0.0.1") is None
    with pytest.raises(RequestError, match="nobody can yet"):
        sign_in_for(home, "0.0.0.0")
    from sleepfm.administration.accounts import Accounts
    from sleepfm.administration.roles import Role

    with Library(home) as library:
        Accounts(library.connection).add("anna", Role.ADMIN, "a long enough password", by="test")
    with pytest.raises(RequestError, match="which folders it may read"):
        sign_in_for(home, "0.0.0.0")
    change_settings(home, folders=["/data/psg"])
    assert sign_in_for(home, "0.0.0.0") is not None
