"""Importing models: the published form and ours, heads tied to encoders, and refusal of what cannot be trusted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from sleepfm.errors import ModelError, RequestError
from sleepfm.models import importing
from sleepfm.models.card import PUBLISHED_KINDS, UNKNOWN, ModelCard, Task, parse_sex_code, read_card
from sleepfm.models.importing import import_model
from sleepfm.models.networks import load_model
from sleepfm.models.official import OfficialFile, OfficialModel, git_blob_id
from sleepfm.models.shelf import Shelf
from sleepfm.recording.channels import MODALITY_OF_KIND
from tests.models.conftest import CheckpointMaker
from tests.models.random_models import DISEASE_CONFIG, ENCODER_CONFIG, HEAD, STAGING_CONFIG, random_network


def test_encoder_lands_with_its_numbers_and_computes_the_same(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    entry = import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    card = read_card(shelf.root / "base")
    assert (card.task, card.name, card.trained_on, card.real) == (Task.ENCODER, "base", UNKNOWN, False)
    assert card.signals is not None
    assert card.signals.recipe == "published"
    assert {m.value: c.max_channels for m, c in card.signals.modalities.items()} == {"BAS": 10, "RESP": 7, "EKG": 2, "EMG": 4}
    x = torch.randn(1, 2, 1280)
    with torch.inference_mode():
        torch.testing.assert_close(load_model(entry.folder).network(x), random_network(ENCODER_CONFIG)(x))
    readme = (entry.folder / "README.md").read_text()
    assert "never chosen by `auto`" in readme
    assert card.weights_sha256 in readme


def test_heads_follow_the_model_word_and_are_tied_to_the_encoder(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    encoder = import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    staging = import_model(shelf, checkpoint(STAGING_CONFIG, "s", bare=True), "staging")
    disease = import_model(shelf, checkpoint(DISEASE_CONFIG, "d", bare=True), "disease")
    assert (staging.card.task, disease.card.task) == (Task.STAGING, Task.DISEASE)
    assert staging.card.labels == ("Wake", "Stage 1", "Stage 2", "Stage 3", "REM")
    for head in (staging, disease):
        assert head.card.encoder is not None
        assert head.card.encoder.weights_sha256 == encoder.card.weights_sha256
        assert shelf.encoder_of(head.card) == encoder
    assert disease.card.labels == UNKNOWN
    assert disease.card.demographics is not None
    assert not disease.card.demographics.known
    with pytest.raises(ModelError, match="--age-scale"):
        disease.card.demographics.encode(50.0, "female")


def test_the_latest_encoder_of_the_same_size_is_taken_and_a_named_one_wins(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    first = import_model(shelf, checkpoint(ENCODER_CONFIG, "a", seed=1), "first")
    second = import_model(shelf, checkpoint(ENCODER_CONFIG, "b", seed=2), "second")
    wide = {**ENCODER_CONFIG, "embed_dim": 32}
    import_model(shelf, checkpoint(wide, "w"), "wide")
    head = checkpoint(STAGING_CONFIG, "s")
    assert shelf.encoder_of(import_model(shelf, head, "latest").card) == second
    assert shelf.encoder_of(import_model(shelf, head, "named", encoder="first").card) == first
    with pytest.raises(RequestError, match="embeddings of 32"):
        import_model(shelf, head, "misfit", encoder="wide")
    with pytest.raises(RequestError, match="not an encoder"):
        import_model(shelf, head, "misfit", encoder="latest")
    with pytest.raises(RequestError, match="no model named"):
        import_model(shelf, head, "misfit", encoder="nobody")


def test_a_head_without_any_encoder_is_a_wrong_request_and_leaves_nothing(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    with pytest.raises(RequestError, match="import the head's encoder first") as error:
        import_model(shelf, checkpoint(STAGING_CONFIG), "staging")
    assert error.value.exit_code == 2
    assert not shelf.root.exists()


def test_a_simulated_encoder_is_never_taken_unasked(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = import_model(shelf, checkpoint(ENCODER_CONFIG), "demo").folder
    card = read_card(folder)
    (folder / "model.json").write_text(card.model_copy(update={"trained_on": "simulated"}).model_dump_json())
    head = checkpoint(STAGING_CONFIG, "s")
    with pytest.raises(RequestError, match="no encoder"):
        import_model(shelf, head, "staging")
    assert import_model(shelf, head, "staging", encoder="demo").card.encoder is not None


def test_disease_head_takes_labels_and_coding(shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path) -> None:
    import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    labels = tmp_path / "labels.csv"
    labels.write_text('label_idx,phecode,phenotype\n1,290.1,Dementia\n0,250,"Diabetes, any"\n2,428,Heart failure\n')
    head = checkpoint(DISEASE_CONFIG, "d")
    entry = import_model(shelf, head, "d", labels=labels, age_scale=98.0, sex_code=parse_sex_code("male=1, female=0"))
    assert not isinstance(entry.card.labels, str)
    assert [(c.phecode, c.phenotype) for c in entry.card.labels] == [  # type: ignore[union-attr]
        ("250", "Diabetes, any"),
        ("290.1", "Dementia"),
        ("428", "Heart failure"),
    ]
    assert entry.card.demographics is not None
    assert entry.card.demographics.encode(49.0, "male") == (0.5, 1.0)
    # The same weights again, from our own form, with a correction: the rest is kept.
    again = import_model(shelf, entry.folder, "d", age_scale=100.0)
    assert again.card.demographics is not None
    assert again.card.demographics.encode(50.0, "female") == (0.5, 0.0)
    assert again.card.labels == entry.card.labels
    assert again.card.weights_sha256 == entry.card.weights_sha256


@pytest.mark.parametrize(
    "content",
    [
        "label_idx,phecode,phenotype\n0,1,a\n1,2,b\n",
        "label_idx,phecode,phenotype\n0,1,a\n1,2,b\n1,3,c\n",
        "index,code\n0,1\n1,2\n2,3\n",
        "label_idx,phecode,phenotype\n0,1,a\nx,2,b\n2,3,c\n",
        "",
    ],
)
def test_labels_that_do_not_name_every_output_once_are_refused(
    shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path, content: str
) -> None:
    import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    labels = tmp_path / "labels.csv"
    labels.write_text(content)
    with pytest.raises(ModelError, match=r"labels\.csv"):
        import_model(shelf, checkpoint(DISEASE_CONFIG, "d"), "d", labels=labels)


def test_options_of_a_disease_head_do_not_go_with_others(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    with pytest.raises(RequestError, match="disease head"):
        import_model(shelf, folder, "base", age_scale=98.0)
    with pytest.raises(RequestError, match="--encoder is for heads"):
        import_model(shelf, folder, "base", encoder="base")
    import_model(shelf, folder, "base")
    with pytest.raises(ModelError, match="age_scale"):
        import_model(shelf, checkpoint(DISEASE_CONFIG, "d"), "d", age_scale=0.0)


@pytest.mark.parametrize("text", ["female=0", "f=0,m=1", "female=a,male=1", "female=1..2,male=0", ""])
def test_sex_code_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="female=0,male=1"):
        parse_sex_code(text)


def test_task_overrides_within_heads_only(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    config = {**STAGING_CONFIG, "model_params": {**HEAD, "num_classes": 3}}
    folder = checkpoint(config, "b")
    assert import_model(shelf, folder, "breathing", task=Task.BREATHING).card.task is Task.BREATHING
    with pytest.raises(ModelError, match="5 classes"):
        import_model(shelf, folder, "staging")
    with pytest.raises(RequestError, match="does not go with"):
        import_model(shelf, folder, "encoder", task=Task.ENCODER)


def test_a_configuration_without_a_model_word_needs_the_task(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    config = {key: value for key, value in ENCODER_CONFIG.items() if key != "model"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="model word"):
        import_model(shelf, folder, "base")
    assert import_model(shelf, folder, "base", task=Task.ENCODER).card.task is Task.ENCODER


def test_the_configuration_beside_the_weights(shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    weights = folder / "best.pt"
    shutil.move(folder / "config.json", tmp_path / "elsewhere.json")
    with pytest.raises(RequestError, match="--config"):
        import_model(shelf, weights, "base")
    assert import_model(shelf, weights, "given", config=tmp_path / "elsewhere.json").name == "given"
    shutil.copy(tmp_path / "elsewhere.json", folder / "best.config.json")
    (folder / "config.json").write_text("{}")
    assert import_model(shelf, weights, "by-stem").name == "by-stem"


def test_safetensors_in_the_published_form(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    (folder / "best.pt").unlink()
    state = {f"module.{name}": tensor for name, tensor in random_network(ENCODER_CONFIG).state_dict().items()}
    safetensors.torch.save_file(state, folder / "best.safetensors")
    assert import_model(shelf, folder, "base").card.task is Task.ENCODER


def test_a_folder_with_two_weights_files_is_ambiguous(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    shutil.copy(folder / "best.pt", folder / "last.pt")
    with pytest.raises(RequestError, match=r"best\.pt, last\.pt"):
        import_model(shelf, folder, "base")
    with pytest.raises(RequestError, match="no such file or folder"):
        import_model(shelf, folder / "none.pt", "base")


class _Code:
    """What a malicious checkpoint looks like: unpickling it would run a command."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.witness}",)


def test_a_pickle_with_code_is_refused_and_does_not_run(shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    torch.save({"state_dict": _Code(tmp_path / "witness")}, folder / "best.pt")
    with pytest.raises(ModelError, match=r"refused.*posix\.system.*could run code"):
        import_model(shelf, folder, "base")
    torch.save(random_network(ENCODER_CONFIG), folder / "best.pt")
    with pytest.raises(ModelError, match="refused"):
        import_model(shelf, folder, "base")
    assert not (tmp_path / "witness").exists()
    assert not shelf.root.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(500), bytes(range(256)) * 8])
def test_bytes_that_are_no_checkpoint_are_one_clear_line(shelf: Shelf, checkpoint: CheckpointMaker, content: bytes) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    (folder / "best.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"best\.pt") as error:
        import_model(shelf, folder, "base")
    assert "\n" not in str(error.value)


def test_a_cut_checkpoint_is_refused(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    whole = (folder / "best.pt").read_bytes()
    for length in range(0, len(whole), len(whole) // 7):
        (folder / "best.pt").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            import_model(shelf, folder, "base")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"embed_dim": 32}, "has shape"),
        ({"num_layers": 3}, "is missing"),
        ({"num_layers": 1}, "is not part of it"),
        ({"num_heads": 5}, "cannot be built"),
        ({"num_layers": "many"}, "are not numbers"),
        ({"embed_dim": -1}, "at least 1"),
        ({"model": "Perceptron"}, "model word is Perceptron"),
        ({"sampling_freq": 256}, "sampling_freq 256"),
        ({"modality_types": ["BAS", "EEG"]}, "modalities"),
        ({"BAS_CHANNELS": "ten"}, "modalities"),
    ],
)
def test_a_configuration_that_does_not_fit(shelf: Shelf, checkpoint: CheckpointMaker, change: dict[str, Any], says: str) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    (folder / "config.json").write_text(json.dumps({**ENCODER_CONFIG, **change}))
    with pytest.raises(ModelError, match=says):
        import_model(shelf, folder, "base")


def test_a_configuration_lacking_a_number_names_it(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    (folder / "config.json").write_text(json.dumps({"model": "SetTransformer", "embed_dim": 16}))
    with pytest.raises(ModelError, match=r"needs num_heads|modalities"):
        import_model(shelf, folder, "base")
    for content in ("[1]", "{", "[" * 10_000, "\udcff".encode("utf-8", "surrogateescape")):
        (folder / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ModelError, match=r"config\.json"):
            import_model(shelf, folder, "base")


def test_weights_that_are_not_finite_are_refused(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG, bare=True)
    state = torch.load(folder / "best.pt", weights_only=True)
    state["module.layer_norm.bias"][3] = float("nan")
    torch.save(state, folder / "best.pt")
    with pytest.raises(ModelError, match=r"layer_norm\.bias holds values that are not finite"):
        import_model(shelf, folder, "base")


def test_trained_on_is_known_only_by_the_blob_ids_of_both_files(
    shelf: Shelf, checkpoint: CheckpointMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    weights, config = folder / "best.pt", folder / "config.json"
    official = OfficialModel(
        "sleepfm-base",
        OfficialFile("best.pt", git_blob_id(weights)),
        OfficialFile("config.json", git_blob_id(config)),
        trained_on="SSC, MESA",
        training_data="nights",
    )
    monkeypatch.setattr("sleepfm.models.official.OFFICIAL_MODELS", (official,))
    entry = import_model(shelf, folder, "mine")
    assert (entry.card.trained_on, entry.card.licence, entry.card.real) == ("SSC, MESA", "MIT", True)
    config.write_text(config.read_text() + "\n")
    assert import_model(shelf, folder, "other").card.trained_on == UNKNOWN


def test_our_own_form_comes_back_whole(shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path) -> None:
    import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    staging = import_model(shelf, checkpoint(STAGING_CONFIG, "s"), "staging")
    for name in ("base", "staging"):
        shelf.export(name, tmp_path / "out")
    other = Shelf(tmp_path / "other")
    for name in ("staging", "base"):  # a head may come before its encoder: its card knows the hash
        import_model(other, tmp_path / "out" / name, name)
    a, b = (ModelCard.model_dump(s.get("staging").card, exclude={"imported_at"}) for s in (shelf, other))
    assert a == b
    assert other.encoder_of(staging.card).name == "base"
    with pytest.raises(RequestError, match="do not apply"):
        import_model(other, tmp_path / "out" / "base", "again", task=Task.ENCODER)


def test_the_importing_module_is_light() -> None:
    assert "torch" not in vars(importing)


def test_the_cards_grouping_is_the_one_that_labels_are_read_by() -> None:
    assert {kind: modality for modality, kinds in PUBLISHED_KINDS.items() for kind in kinds} == MODALITY_OF_KIND
