"""The embedding engine, from signals files to embedding files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sleepfm.errors import Cancelled, ModelError, RecordingError, RequestError, SleepFMError
from sleepfm.inference import embedding_files
from sleepfm.inference.embedding import embed
from sleepfm.inference.embedding_files import Embeddings, read_embeddings
from sleepfm.models.card import PUBLISHED_KINDS
from sleepfm.models.networks import Model
from sleepfm.signals.store import open_signals
from sleepfm.vocabulary import TOKEN_SAMPLES, WINDOW_SAMPLES, Kind, Modality
from tests.inference.noise_signals import CHANNELS, write_noise
from tests.inference.small_models import small_encoder, small_staging_head


@pytest.fixture(scope="module")
def model() -> Model:
    return small_encoder()


def rows(path: Path) -> dict[Modality, np.ndarray]:
    return read_embeddings(path).rows


def expected(signals_path: Path, model: Model, modality: Modality, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network itself says of the window k, cut after its last token."""
    with open_signals(signals_path) as signals:
        window = signals.window(modality, k)
    x = torch.from_numpy(window.x_ct[None, :, : window.valid_tokens * TOKEN_SAMPLES])
    with torch.inference_mode():
        window_be, tokens_bse = model.network(x)
    return window_be.numpy()[0], tokens_bse.numpy()[0]


@pytest.mark.parametrize("layout", ["grouped", "flat"])
def test_the_files_hold_what_the_network_says(tmp_path: Path, model: Model, layout: str) -> None:
    signals = write_noise(tmp_path / "night-1.hdf5", 3 * 300 + 132, layout=layout)
    record = embed(signals, model, tmp_path / "out", device="cpu")
    assert record.files == (tmp_path / "out/5s/night-1.hdf5", tmp_path / "out/5min/night-1.hdf5")
    assert (record.id, record.tokens, record.windows) == ("night-1", 3 * 60 + 27, 4)
    assert record.modalities == {Modality.BAS: 2, Modality.RESP: 3, Modality.EKG: 1, Modality.EMG: 1}
    assert record.left_out == record.notes == ()
    tokens, windows = rows(record.files[0]), rows(record.files[1])
    for modality in Modality:
        assert tokens[modality].shape == (207, 16)
        assert windows[modality].shape == (4, 16)
        for k in range(4):
            window_e, tokens_se = expected(signals, model, modality, k)
            np.testing.assert_allclose(windows[modality][k], window_e, atol=2e-4)
            np.testing.assert_allclose(tokens[modality][60 * k : 60 * k + 60], tokens_se, atol=2e-4)


def test_the_files_say_where_they_came_from(tmp_path: Path, model: Model) -> None:
    signals = write_noise(tmp_path / "a.hdf5", 432.0, gaps=((60.0, 90.0),))
    record = embed(signals, model, tmp_path, device="cpu")
    with h5py.File(record.files[0]) as file:
        assert (
            dict(file.attrs).items()
            >= {
                "model": "encoder",
                "weights_sha256": model.card.weights_sha256,
                "recipe": "published",
                "start_offset_s": 0.0,
                "seconds_per_row": 5.0,
                "last_window_tokens": 27,
                "duration_s": 432.0,
            }.items()
        )
        assert {name: dataset.dtype for name, dataset in file.items()} == dict.fromkeys(("BAS", "RESP", "EKG", "EMG"), np.float32)
    origin = read_embeddings(record.files[1]).origin
    assert origin.gaps == ((60.0, 90.0),)
    assert origin.channels[Modality.BAS] == ("C3-M2", "E1-M2")
    assert origin == read_embeddings(record.files[0]).origin


@pytest.mark.parametrize(
    ("duration_s", "tokens", "windows"), [(2.0, 1, 1), (10.0, 2, 1), (30.0, 6, 1), (299.9, 60, 1), (300.0, 60, 1), (301.0, 61, 2)]
)
def test_short_recordings_and_ends(tmp_path: Path, model: Model, duration_s: float, tokens: int, windows: int) -> None:
    record = embed(write_noise(tmp_path / "a.hdf5", duration_s), model, tmp_path, device="cpu")
    assert (record.tokens, record.windows) == (tokens, windows)
    for modality, array in rows(record.files[0]).items():
        assert array.shape == (tokens, 16), modality
        assert np.isfinite(array).all()


def test_what_is_flat_or_missing_or_bad_is_left_out_and_named(tmp_path: Path, model: Model) -> None:
    channels = {m: c for m, c in CHANNELS.items() if m is not Modality.EMG}
    signals = write_noise(tmp_path / "a.hdf5", 60.0, channels=channels, flat=("E1-M2", "ECG"))
    record = embed(signals, model, tmp_path, device="cpu", bad={"SpO2": "disconnected all night"})
    assert record.modalities == {Modality.BAS: 1, Modality.RESP: 2}
    assert {(out.modality.value, out.label, out.reason) for out in record.left_out} == {
        ("BAS", "E1-M2", "it is flat"),
        ("RESP", "SpO2", "disconnected all night"),
        ("EKG", "ECG", "it is flat"),
        ("EKG", "", "all its channels are left out"),
        ("EMG", "", "the recording has no such channel"),
    }
    assert [out["label"] for out in record.as_dict()["left_out"] if out["modality"] == "EMG"] == ["EMG"]
    without = rows(record.files[0])
    assert list(without) == [Modality.BAS, Modality.RESP]
    with h5py.File(record.files[1]) as file:
        assert sorted(file) == ["BAS", "RESP"]
    # The channels that are left say exactly what they say in a recording that never had the others.
    alone = {Modality.BAS: [("C3-M2", Kind.EEG)], Modality.RESP: [("Flow", Kind.FLOW), ("Thorax", Kind.EFFORT_THORAX)]}
    other = embed(write_noise(tmp_path / "b.hdf5", 60.0, channels=alone), model, tmp_path, device="cpu")
    for modality, array in rows(other.files[0]).items():
        np.testing.assert_allclose(array, without[modality], atol=2e-4)


def test_nothing_usable_is_an_error_that_says_why(tmp_path: Path, model: Model) -> None:
    signals = write_noise(tmp_path / "a.hdf5", 60.0, channels={Modality.EKG: [("ECG", Kind.ECG)]}, flat=("ECG",))
    with pytest.raises(RecordingError, match="EKG: all its channels are left out"):
        embed(signals, model, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_more_channels_than_the_encoder_was_made_for(tmp_path: Path, model: Model) -> None:
    eeg = [(f"EEG{i:02}", Kind.EEG) for i in range(12)]
    eog = [("E1", Kind.EOG), ("E2", Kind.EOG)]
    resp = [(kind.value, kind) for kind in reversed(PUBLISHED_KINDS[Modality.RESP])]
    signals = write_noise(
        tmp_path / "a.hdf5",
        20.0,
        channels={Modality.BAS: eeg + eog, Modality.RESP: resp, Modality.EKG: [(f"ECG{i}", Kind.ECG) for i in range(3)]},
    )
    record = embed(signals, model, tmp_path, device="cpu")
    assert record.modalities == {Modality.BAS: 10, Modality.RESP: 7, Modality.EKG: 2}
    origin = read_embeddings(record.files[0]).origin
    assert origin.channels[Modality.BAS] == (*(f"EEG{i:02}" for i in range(8)), "E1", "E2")
    dropped = {out.label for out in record.left_out if "takes" in out.reason}
    assert dropped == {"EEG08", "EEG09", "EEG10", "EEG11", "ECG2", "pulse", "plethysmogram", "effort sum", "CO2"}


def test_the_order_of_channels_and_the_number_of_threads_change_nothing(tmp_path: Path, model: Model) -> None:
    turned = {modality: tuple(reversed(labels)) for modality, labels in reversed(CHANNELS.items())}
    a = embed(write_noise(tmp_path / "a.hdf5", 1300.0), model, tmp_path, device="cpu", workers=1)
    b = embed(write_noise(tmp_path / "b.hdf5", 1300.0, channels=turned), model, tmp_path, device="cpu", workers=3)
    for modality, array in rows(a.files[0]).items():
        np.testing.assert_allclose(array, rows(b.files[0])[modality], atol=2e-4)


def test_bf16_stays_close_and_is_recorded(tmp_path: Path, model: Model) -> None:
    signals = write_noise(tmp_path / "a.hdf5", 310.0)
    full = embed(signals, model, tmp_path / "fp32", device="cpu")
    half = embed(signals, model, tmp_path / "bf16", device="cpu", precision="bf16")
    assert read_embeddings(half.files[0]).origin.precision == half.precision == "bf16"
    for modality, a in rows(full.files[0]).items():
        b = rows(half.files[0])[modality]
        assert b.dtype == np.float32
        assert not np.array_equal(a, b)
        assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.99


def test_another_recipe_is_refused_with_the_remedy(tmp_path: Path, model: Model) -> None:
    with pytest.raises(ModelError, match="--recipe published"):
        embed(write_noise(tmp_path / "a.hdf5", 20.0, recipe="hq"), model, tmp_path, device="cpu")
    assert (
        embed(write_noise(tmp_path / "b.hdf5", 20.0, recipe="hq"), small_encoder(recipe="hq"), tmp_path, device="cpu").tokens == 4
    )


def test_a_file_of_the_published_code(tmp_path: Path, model: Model) -> None:
    """It names no recipe and nobody has looked for values that are not numbers."""
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        rng = np.random.default_rng(0)
        for name in ("C3-M2", "C4-M1", "ECG"):
            file[name] = rng.standard_normal(128 * 30).astype(np.float16)
        file["C4-M1"][100] = np.nan
    record = embed(tmp_path / "a.hdf5", model, tmp_path / "out", device="cpu")
    assert record.modalities == {Modality.BAS: 1, Modality.EKG: 1}
    assert [(out.label, out.reason) for out in record.left_out if out.label] == [("C4-M1", "some of its values are not numbers")]
    assert all(np.isfinite(array).all() for array in rows(record.files[0]).values())
    with pytest.raises(ModelError, match="recipe published"):
        embed(tmp_path / "a.hdf5", small_encoder(recipe="hq"), tmp_path / "out", device="cpu")


def test_a_head_is_no_encoder_and_a_missing_file_is_a_wrong_request(tmp_path: Path, model: Model) -> None:
    signals = write_noise(tmp_path / "a.hdf5", 20.0)
    with pytest.raises(RequestError, match="not an encoder"):
        embed(signals, small_staging_head(), tmp_path, device="cpu")
    with pytest.raises(RequestError, match="no such file"):
        embed(tmp_path / "b.hdf5", model, tmp_path, device="cpu")


def test_cancelling_leaves_nothing(tmp_path: Path, model: Model) -> None:
    def cancel(fraction: float, _: str) -> None:
        if fraction > 0.3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        embed(write_noise(tmp_path / "a.hdf5", 1500.0), model, tmp_path / "out", device="cpu", progress=cancel)
    assert not (tmp_path / "out").exists()


def test_progress_only_rises(tmp_path: Path, model: Model) -> None:
    seen: list[float] = []
    embed(write_noise(tmp_path / "a.hdf5", 1500.0), model, tmp_path, device="cpu", progress=lambda f, _: seen.append(f))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert len(seen) > 3


def test_an_out_that_cannot_be_written_is_one_line(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = write_noise(tmp_path / "a.hdf5", 20.0)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(RequestError, match="no folder"):
        embed(signals, model, tmp_path / "file", device="cpu")

    whole = embedding_files._write

    def full(path: Path, embeddings: Embeddings) -> None:
        whole(path, embeddings)
        if path.parent.name == "5min":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedding_files, "_write", full)
    with pytest.raises(SleepFMError, match=r"5min.*No space left on device"):
        embed(signals, model, tmp_path / "out", device="cpu")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_results_are_reused_only_when_everything_is_the_same(tmp_path: Path, model: Model) -> None:
    signals = write_noise(tmp_path / "a.hdf5", 40.0)
    out = tmp_path / "out"

    def again(signals_path: Path = signals, model: Model = model, precision: str = "fp32", **bad: str) -> bool:
        return embed(signals_path, model, out, device="cpu", precision=precision, bad=bad, reuse=True).reused  # type: ignore[arg-type]

    first = embed(signals, model, out, device="cpu")
    assert not first.reused
    assert again()
    reused = embed(signals, model, out, device="cpu", reuse=True)
    assert replace(reused, seconds=0.0, reused=False) == replace(first, seconds=0.0)
    assert not embed(signals, model, out, device="cpu").reused
    assert not again(precision="bf16")
    assert not again(model=small_encoder(seed=1))
    assert not again(Flow="noise")
    assert again(Flow="noise")
    write_noise(signals, 40.0, seed=2)
    assert not again(Flow="noise")
    first.files[1].write_bytes(first.files[1].read_bytes()[:100])
    assert not again(Flow="noise")
    first.files[0].unlink()
    assert not again(Flow="noise")
    assert again(Flow="noise")


def test_reading_what_is_no_embedding_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        read_embeddings(tmp_path / "none.hdf5")
    with pytest.raises(RecordingError, match="no embedding file"):
        read_embeddings(write_noise(tmp_path / "a.hdf5", 20.0))
    (tmp_path / "b.hdf5").write_bytes(b"text")
    with pytest.raises(RecordingError, match="no embedding file"):
        read_embeddings(tmp_path / "b.hdf5")
    with h5py.File(tmp_path / "c.hdf5", "w") as file:  # a kilobyte that claims 512 terabytes
        file.create_dataset("BAS", (1 << 40, 128), "f4", chunks=(60, 128)).attrs["channels"] = ["C3"]
    with pytest.raises(RecordingError, match="no embedding file"):
        read_embeddings(tmp_path / "c.hdf5")


def test_an_embedding_file_opens_no_other_file(tmp_path: Path, model: Model) -> None:
    five_s = embed(write_noise(tmp_path / "a.hdf5", 20.0), model, tmp_path / "out", device="cpu").files[0]
    assert read_embeddings(five_s).rows
    with h5py.File(tmp_path / "secret.hdf5", "w") as secret, h5py.File(five_s, "r") as file:
        file.copy("RESP", secret)
    with h5py.File(five_s, "r+") as file:
        del file["RESP"]
        file["RESP"] = h5py.ExternalLink(str(tmp_path / "secret.hdf5"), "/RESP")
    with pytest.raises(RecordingError, match="RESP' lies in another file"):
        read_embeddings(five_s)


def test_hostile_labels_come_back_as_text(tmp_path: Path, model: Model) -> None:
    label = "C3\u202e<script>"
    signals = write_noise(
        tmp_path / "a.hdf5", 20.0, channels={Modality.BAS: [(label, Kind.EEG), ("flat\x1b[2J", Kind.EEG)]}, flat=("flat\x1b[2J",)
    )
    record = embed(signals, model, tmp_path, device="cpu")
    origin = read_embeddings(record.files[0]).origin
    assert origin.channels[Modality.BAS] == (label,)
    assert origin.left_out[0].label == "flat\x1b[2J"


def test_windows_are_300_s() -> None:
    assert WINDOW_SAMPLES == 60 * TOKEN_SAMPLES == 38_400
