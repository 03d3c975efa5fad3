"""Maps by PCA against scikit-learn; placing by neighbours against the sum written out; UMAP with a seed (long)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from sleepfm.analysis.projection import NEIGHBOURS, Method, Projection, fit, unit
from sleepfm.errors import Cancelled, RequestError


def rows(n: int, width: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return unit(rng.standard_normal((n, width)) * np.linspace(3, 0.2, width) + rng.integers(0, 2, (n, 1)))


@settings(deadline=None, max_examples=25)
@given(st.integers(3, 80), st.integers(0, 99))
def test_pca_is_scikit_learns_and_places_a_fitted_row_where_it_was_fitted(n: int, seed: int) -> None:
    x_ne = rows(n, seed=seed)
    made = fit(x_ne, Method.PCA)
    oracle = PCA(2, svd_solver="full").fit(x_ne.astype(float))
    expected = oracle.transform(x_ne.astype(float))
    signs = np.sign((made.places_f2 * expected).sum(axis=0))
    np.testing.assert_allclose(made.places_f2 * signs, expected, atol=1e-5)
    np.testing.assert_allclose(made.explained, oracle.explained_variance_ratio_, atol=1e-6)
    np.testing.assert_allclose(made.place(x_ne), made.places_f2, atol=1e-5)
    later = rows(5, seed=seed + 1)
    np.testing.assert_allclose(made.place(later) * signs, oracle.transform(later.astype(float)), atol=1e-5)


def by_hand(projection: Projection, x_e: np.ndarray) -> np.ndarray:
    fitted = projection.basis_be / np.linalg.norm(projection.basis_be, axis=1, keepdims=True)
    distance = 1 - fitted @ (x_e / np.linalg.norm(x_e))
    nearest = np.argsort(distance)[:NEIGHBOURS]
    weight = 1 / np.maximum(distance[nearest], 1e-6)
    return np.asarray((weight[:, None] * projection.places_f2[nearest]).sum(axis=0) / weight.sum())


@pytest.mark.parametrize("fitted", [4, 60, 701])
def test_a_row_is_placed_among_its_nearest_fitted_rows(fitted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    basis = rows(fitted)
    projection = Projection(Method.UMAP, basis, np.random.default_rng(1).uniform(-9, 9, (fitted, 2)).astype(np.float32), ())
    later = rows(30, seed=5)
    expected = [by_hand(projection, one) for one in later]
    np.testing.assert_allclose(projection.place(later), expected, atol=2e-3)
    np.testing.assert_allclose(projection.place(7 * later), projection.place(later), atol=1e-4)
    np.testing.assert_allclose(projection.place(basis), projection.places_f2, atol=0.05)
    monkeypatch.setattr("sleepfm.analysis.projection._CELLS_AT_ONCE", 7 * fitted)
    np.testing.assert_allclose(projection.place(later), expected, atol=2e-3)


def test_placing_can_be_cancelled() -> None:
    projection = Projection(Method.UMAP, rows(20), np.zeros((20, 2), np.float32), ())

    def stop(_fraction: float, _message: str) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        projection.place(rows(3), stop)


@pytest.mark.parametrize(("method", "n"), [(Method.PCA, 2), (Method.UMAP, NEIGHBOURS)])
def test_too_few_rows_and_broken_rows_are_refused(method: Method, n: int) -> None:
    with pytest.raises(RequestError, match="needs at least"):
        fit(rows(n), method)
    broken = rows(50)
    broken[3, 2] = np.nan
    with pytest.raises(RequestError, match="finite"):
        fit(broken, method)


def test_rows_that_are_all_the_same_have_a_map() -> None:
    made = fit(np.ones((10, 4), np.float32), Method.PCA)
    np.testing.assert_allclose(made.places_f2, 0, atol=1e-6)
    assert made.explained == (0.0, 0.0)


@pytest.fixture(scope="module")
def umap_of_two_groups() -> tuple[np.ndarray, Projection, list[float]]:
    rng = np.random.default_rng(0)
    x_ne = unit(rng.standard_normal((120, 8)) * 0.3 + np.repeat([[4.0] * 8, [-4.0] + [4.0] * 7], 60, axis=0))
    told: list[float] = []
    return x_ne, fit(x_ne, Method.UMAP, seed=3, progress=lambda fraction, _: told.append(fraction)), told


@pytest.mark.long
def test_umap_keeps_groups_apart_tells_how_far_it_is_and_repeats_itself(
    umap_of_two_groups: tuple[np.ndarray, Projection, list[float]],
) -> None:
    x_ne, made, told = umap_of_two_groups
    places = made.places_f2
    spread = max(places[:60].std(), places[60:].std())
    assert np.linalg.norm(places[:60].mean(axis=0) - places[60:].mean(axis=0)) > spread
    assert told == sorted(told)
    assert len(told) > 3  # how often it is told depends on how long it takes
    assert told[-1] > 0.9
    np.testing.assert_array_equal(fit(x_ne, Method.UMAP, seed=3).places_f2, places)
    assert not np.array_equal(fit(x_ne, Method.UMAP, seed=4).places_f2, places)


@pytest.mark.long
def test_what_comes_after_a_umap_is_placed_with_its_group(
    umap_of_two_groups: tuple[np.ndarray, Projection, list[float]],
) -> None:
    _, made, _ = umap_of_two_groups
    rng = np.random.default_rng(9)
    later = unit(rng.standard_normal((20, 8)) * 0.3 + 4.0)
    centres = made.places_f2[:60].mean(axis=0), made.places_f2[60:].mean(axis=0)
    first, second = (np.linalg.norm(made.place(later) - centre, axis=1) for centre in centres)
    assert (first < second).all()
