"""The benchmark measures what it says: the same numbers by two ways."""

from __future__ import annotations

from pathlib import Path

from sleepfm.inference.embedding_benchmark import benchmark_embedding, published_size_model
from sleepfm.models.encoder import parameter_count
from sleepfm.vocabulary import Kind, Modality
from tests.inference.noise_signals import write_noise


def test_engine_and_plain_forward_pass_agree(tmp_path: Path) -> None:
    signals = write_noise(
        tmp_path / "a.hdf5",
        600.0,
        channels={Modality.BAS: [("C3", Kind.EEG), ("C4", Kind.EEG)], Modality.EKG: [("ECG", Kind.ECG)]},
    )
    found = benchmark_embedding(signals, repeats=1)
    assert found.cosine >= 0.9999
    assert len(found.embed_s) == len(found.plain_s) == 1
    assert found.ratio == found.plain_s[0] / found.embed_s[0]


def test_its_encoder_has_the_published_size() -> None:
    assert round(parameter_count(published_size_model().network) / 1e6, 2) == 4.83
