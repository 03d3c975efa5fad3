"""Nights in stretches: what a batch holds, that chance follows from the seed alone, and that batch mates change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.models.heads import StagingHead
from sleepfm.training.head_learners import StagingLearner
from sleepfm.training.night_embeddings import embed_nights
from sleepfm.training.night_labels import STAGES, StageReader, gather_nights, label_files
from sleepfm.training.nights import LabelledNight, NightBatch, NightLoader, Stretch, make_batch, open_nights
from sleepfm.vocabulary import TOKENS_PER_EPOCH, Modality
from tests.training.night_cohort import EMBED_DIM, NightCohort, make_cohort, write_night


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> NightCohort:
    return make_cohort(tmp_path_factory.mktemp("cohort"), nights=5, epochs=30)


@pytest.fixture(scope="module")
def nights(cohort: NightCohort) -> list[LabelledNight]:
    found = embed_nights(cohort.studies, (), cohort.encoder, cohort.embeddings)
    return list(gather_nights(StageReader(label_files(cohort.folder, (), "")), found, {}).nights.values())


def content(batch: NightBatch) -> tuple[object, ...]:
    z_bmse, padding_bms = batch.embeddings()
    return batch.stretches, z_bmse.sum().item(), padding_bms.sum().item(), batch.by_epoch[STAGES].tolist()


class TestLoader:
    def test_every_stretch_carries_its_own_labels_and_embeddings(self, cohort: NightCohort, nights: list[LabelledNight]) -> None:
        loader = NightLoader(nights, batch_size=4, seed=3, crop_tokens=60)

        for batch in loader.batches(0):
            z_bmse, padding_bms = batch.embeddings()
            for b, stretch in enumerate(batch.stretches):
                night = nights[stretch.number].night
                truth_e = cohort.stages[night.study].copy()
                truth_e[~night.known_epochs()] = -1
                first = stretch.start // TOKENS_PER_EPOCH
                assert stretch.start % TOKENS_PER_EPOCH == 0
                assert batch.by_epoch[STAGES][b].tolist() == truth_e[first : first + 10].tolist()
                for m, modality in enumerate(Modality):
                    there = modality in night.modalities
                    assert padding_bms[b, m].any().item() is not there
                    expected = night.read(stretch.start, stretch.stop)[night.modalities.index(modality)] if there else 0.0
                    np.testing.assert_array_equal(z_bmse[b, m].numpy(), expected)

    def test_an_epoch_goes_on_where_it_was_left_and_another_one_differs(self, nights: list[LabelledNight]) -> None:
        loader = NightLoader(nights, batch_size=3, seed=3, crop_tokens=60, modality_dropout=0.5)
        whole = [content(batch) for batch in loader.batches(1)]

        assert [content(batch) for batch in loader.batches(1, start=2)] == whole[2:]
        assert len(whole) == loader.steps(1)
        assert next(content(batch) for batch in loader.batches(2)) != whole[0]

    @given(world=st.integers(1, 3), batch_size=st.integers(3, 7), shuffle=st.booleans())
    @settings(max_examples=15, deadline=None)
    def test_processes_share_each_batch(self, nights: list[LabelledNight], world: int, batch_size: int, shuffle: bool) -> None:
        def loader(rank: int, size: int) -> NightLoader:
            return NightLoader(nights, batch_size=batch_size, seed=0, crop_tokens=60, shuffle=shuffle, rank=rank, world=size)

        shares = [list(loader(rank, world).batches(0)) for rank in range(world)]

        for number, whole in enumerate(loader(0, 1).batches(0)):
            assert sum((share[number].stretches for share in shares), ()) == whole.stretches
            assert all(share[number].size for share in shares)

    def test_without_shuffling_every_token_is_seen_once(self, nights: list[LabelledNight]) -> None:
        loader = NightLoader(nights, batch_size=4, seed=0, crop_tokens=66, shuffle=False)
        seen = {number: np.zeros(labelled.night.tokens, int) for number, labelled in enumerate(nights)}

        for batch in loader.batches(0):
            for stretch in batch.stretches:
                seen[stretch.number][stretch.start : stretch.stop] += 1

        assert all((count_t == 1).all() for count_t in seen.values())

    def test_one_stretch_a_night_where_the_label_is_the_nights(self, nights: list[LabelledNight]) -> None:
        drawn = NightLoader(nights, batch_size=5, seed=0, crop_tokens=60, one_each=True)
        whole = NightLoader(nights, batch_size=5, seed=0, one_each=True, longest=100, shuffle=False)

        assert sorted(stretch.number for batch in drawn.batches(0) for stretch in batch.stretches) == [0, 1, 2, 3, 4]
        assert [(s.start, s.stop) for batch in whole.batches(0) for s in batch.stretches] == [(0, 96)] * 5  # whole epochs

    def test_a_hidden_modality_leaves_at_least_one(self, nights: list[LabelledNight]) -> None:
        loader = NightLoader(nights, batch_size=5, seed=0, crop_tokens=60, modality_dropout=0.9)
        stretches = [stretch for epoch in range(8) for batch in loader.batches(epoch) for stretch in batch.stretches]

        assert {len(stretch.modalities) for stretch in stretches} >= {1, 2}
        assert all(set(s.modalities) <= set(nights[s.number].night.modalities) for s in stretches)
        assert min(len(stretch.modalities) for stretch in stretches) == 1

    def test_more_processes_than_nights_are_refused(self, nights: list[LabelledNight]) -> None:
        loader = NightLoader(nights[:1], batch_size=2, seed=0, rank=0, world=2)

        with pytest.raises(RequestError, match="cannot be shared by 2 processes"):
            next(loader.batches(0))
        with pytest.raises(RequestError, match="no night"):
            NightLoader([], batch_size=2, seed=0)


class TestNights:
    def test_are_the_same_from_memory_and_from_disk(self, cohort: NightCohort) -> None:
        files = embed_nights(cohort.studies, (), cohort.encoder, cohort.embeddings).files
        kept, _ = open_nights(files, {}, memory_bytes=1e9)
        read, _ = open_nights(files, {}, memory_bytes=0)

        for study in cohort.studies:
            assert kept[study].rows_mse is not None
            assert read[study].rows_mse is None
            np.testing.assert_array_equal(kept[study].read(7, 20), read[study].read(7, 20))

    def test_that_half_precision_cannot_hold_are_left_out(self, cohort: NightCohort, tmp_path: Path) -> None:
        write_night(tmp_path, "huge", {Modality.BAS: np.full((6, EMBED_DIM), 1e6, np.float32)}, cohort.encoder)

        found = embed_nights(["huge", "gone"], (), cohort.encoder, tmp_path / "embeddings")
        nights, left_out = open_nights(found.files, {}, memory_bytes=1e9)

        assert not nights
        assert "half precision" in left_out["huge"]
        assert "no signals file was found" in found.left_out["gone"]

    def test_by_other_weights_are_left_out(self, cohort: NightCohort, tmp_path: Path) -> None:
        from tests.training.night_cohort import make_encoder

        _, other = make_encoder(tmp_path, seed=1)

        found = embed_nights(cohort.studies[:1], (), other, cohort.embeddings)

        assert "other weights" in found.left_out[cohort.studies[0]]

    def test_gaps_are_unknown(self, cohort: NightCohort, nights: list[LabelledNight]) -> None:
        labelled = nights[-2]  # its second epoch is a gap
        assert labelled.by_epoch[STAGES].tolist() == [
            -1 if e == 1 else stage for e, stage in enumerate(cohort.stages[labelled.night.study])
        ]


class TestBatchMates:
    @given(start=st.integers(0, 10), length=st.integers(1, 70), mate=st.integers(60, 180))
    @settings(max_examples=10, deadline=None)
    def test_and_padding_change_nothing(self, nights: list[LabelledNight], start: int, length: int, mate: int) -> None:
        torch.manual_seed(0)
        head = StagingHead(embed_dim=EMBED_DIM, num_heads=2, pooling_head=2, max_seq_length=600).eval()
        learner = StagingLearner(head, torch.device("cpu"), class_weights_k=torch.ones(5))
        first = start * TOKENS_PER_EPOCH
        one = Stretch(0, first, min(first + length, 180), tuple(Modality))
        other = Stretch(4, 0, mate, (Modality.BAS, Modality.EKG))

        with torch.no_grad():
            (alone_bsk,) = learner.outputs(make_batch(nights, [one]))
            (both_bsk,) = learner.outputs(make_batch(nights, [other, one]))

        there = one.stop - one.start
        torch.testing.assert_close(both_bsk[1, :there], alone_bsk[0, :there], atol=2e-5, rtol=1e-4)

    def test_dropout_falls_alike_with_and_without_a_gradient(self, nights: list[LabelledNight]) -> None:
        """An accumulated step passes each batch twice, first without a graph; both must be the same numbers."""
        torch.manual_seed(0)
        head = StagingHead(embed_dim=EMBED_DIM, num_heads=2, pooling_head=2, dropout=0.3, max_seq_length=600).train()
        learner = StagingLearner(head, torch.device("cpu"), class_weights_k=torch.ones(5))
        batch = make_batch(nights, [Stretch(n, 0, 180, nights[n].night.modalities) for n in range(5)])

        torch.manual_seed(5)
        (first_bsk,) = learner.outputs(batch)
        torch.manual_seed(5)
        with torch.no_grad():
            (second_bsk,) = learner.outputs(batch)

        assert torch.equal(first_bsk, second_bsk)
