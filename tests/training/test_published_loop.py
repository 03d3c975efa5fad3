"""The re-created loop computes what it stands for: the same model, the same loss, the same windows as ours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sleepfm.models.encoder import Encoder
from sleepfm.models.transformer_layer import TransformerLayer
from sleepfm.training.contrastive import leave_one_out
from sleepfm.training.published_loop import PlainLearner, PlainWindows, padded, plain_encoder, plain_leave_one_out
from sleepfm.training.settings import EncoderSettings
from sleepfm.training.throughput_benchmark import write_recordings
from sleepfm.training.window_loader import WindowLoader
from sleepfm.training.windows import Store, open_store
from sleepfm.vocabulary import WINDOW_SAMPLES

SMALL = {"embed_dim": 16, "num_heads": 2, "num_layers": 2, "pooling_head": 2, "patch_size": 640, "dropout": 0.0}
WINDOWS = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = write_recordings(tmp_path_factory.mktemp("recordings"), recordings=2, minutes=11)
    return open_store([folder], EncoderSettings().coding(), least_samples=WINDOW_SAMPLES)


def loader_of(store: Store) -> WindowLoader:
    return WindowLoader(store, batch_size=WINDOWS, window_samples=WINDOW_SAMPLES, seed=0, augmentation=None)


def plain_batch(store: Store) -> tuple[list[Tensor], list[Tensor]]:
    windows = PlainWindows(store.recordings, WINDOW_SAMPLES)
    return padded([windows[int(number), int(start)] for number, start in loader_of(store).plan(0)])


def test_both_loops_read_the_same_windows(store: Store) -> None:
    batch = next(loader_of(store).batches(0))
    x_nct, mask_nc = plain_batch(store)
    rows = torch.cat([x[~mask] for x, mask in zip(x_nct, mask_nc, strict=True)])
    assert batch.counts_mn.tolist() == [(~mask).sum(dim=1).tolist() for mask in mask_nc]
    assert len({tuple(counts) for counts in batch.counts_mn.T.tolist()}) == 2
    assert torch.equal(batch.x_rt.float(), rows)
    assert not any(x[mask].any() for x, mask in zip(x_nct, mask_nc, strict=True))


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_its_encoder_is_ours_with_published_pooling(store: Store, train: bool) -> None:
    torch.manual_seed(0)
    plain = plain_encoder(SMALL).double().train(train)
    ours = Encoder(**SMALL, pooling="published_batch").double().train(train)  # type: ignore[arg-type]
    ours.load_state_dict(plain.state_dict())
    assert not any(isinstance(module, TransformerLayer) for module in plain.modules())
    for x_nct, mask_nc in zip(*plain_batch(store), strict=True):
        for got, want in zip(plain(x_nct.double(), mask_nc), ours(x_nct.double(), mask_nc), strict=True):
            torch.testing.assert_close(got, want)


def test_its_loss_is_ours_with_every_modality_there() -> None:
    z_mne = torch.randn(4, 6, 16, generator=torch.Generator().manual_seed(0))
    temperature = torch.tensor(0.7)
    want = leave_one_out(z_mne, torch.ones(4, 6, dtype=torch.bool), temperature)
    torch.testing.assert_close(plain_leave_one_out(list(z_mne), temperature), want.value)


def test_a_step_reaches_every_weight(store: Store) -> None:
    learner = PlainLearner(SMALL).train()
    learner(plain_batch(store)).backward()
    reached = [name for name, p in learner.named_parameters() if p.grad is not None and p.grad.any()]
    assert reached == [name for name, _ in learner.named_parameters()]
    assert isinstance(learner, nn.Module)
