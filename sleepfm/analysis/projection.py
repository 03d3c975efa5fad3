"""Maps of embeddings: many numbers a row brought down to a place in the plane, by PCA or UMAP, always the same for one seed.

A map is fitted on some rows; every other row is placed on it and never moves it. PCA places a row exactly where fitting it
would have put it. UMAP has no such formula: a row is placed at the weighted mean of the places of its nearest fitted rows
(cf. McInnes, Healy and Melville 2018, arXiv:1802.03426, whose own transform starts from the same mean).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.progress import Progress, silent

NEIGHBOURS = 15
"""Nearest rows that UMAP builds its graph of, and that a row is placed by."""
LEAST_ROWS = {"pca": 3, "umap": NEIGHBOURS + 1}
"""Fewer rows make no map: a plane through fewer than three points, or fewer neighbours than the graph needs, says nothing."""
_NEAREST = 1e-6
"""Distances below this count as this: a row that was fitted is placed where it was fitted."""
_CELLS_AT_ONCE = 20_000_000
_UMAP_EPOCHS = {True: 500, False: 200}
"""Rounds of the layout for small (up to 10,000 rows) and large maps: umap-learn's own choice, written down for the progress."""


class Method(StrEnum):
    """How the plane is found."""

    PCA = "pca"
    UMAP = "umap"


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted map, to place rows on.

    Attributes
    ----------
    method
        What it was fitted by.
    basis_be
        PCA: (3, E) the mean of the fitted rows and the two components. UMAP: (fitted, E) the fitted rows themselves.
    places_f2
        (fitted, 2) where the fitted rows lie.
    explained
        PCA: share of the variance along x and along y (0 to 1). UMAP: empty, its axes have no meaning.
    """

    method: Method
    basis_be: np.ndarray
    places_f2: np.ndarray
    explained: tuple[float, ...]

    def place(self, x_ne: np.ndarray, progress: Progress = silent) -> np.ndarray:
        """Return (n, 2) float32 places of rows (n, E) on the map.

        A UMAP place is the mean of the places of the `NEIGHBOURS` nearest fitted rows (exact search), weighted by the inverse
        of their cosine distance.

        Raises
        ------
        RequestError
            When the rows are of another width than those it was fitted on.
        """
        if x_ne.ndim != 2 or x_ne.shape[1] != self.basis_be.shape[1]:
            raise RequestError(f"a map of rows of {self.basis_be.shape[1]} numbers has no place for rows of shape {x_ne.shape}")
        if self.method is Method.PCA:
            mean_e, components_2e = self.basis_be[0], self.basis_be[1:]
            return np.asarray((x_ne - mean_e) @ components_2e.T, np.float32)
        return self._place_by_neighbours(x_ne, progress)

    def _place_by_neighbours(self, x_ne: np.ndarray, progress: Progress) -> np.ndarray:
        places_n2 = np.empty((len(x_ne), 2), np.float32)
        fitted_fe = unit(self.basis_be)
        k = min(NEIGHBOURS, len(fitted_fe))
        step = max(1, _CELLS_AT_ONCE // max(len(fitted_fe), 1))
        for first in range(0, len(x_ne), step):
            progress(first / len(x_ne), f"placing row {first:,} of {len(x_ne):,}")
            distance_nf = 1.0 - unit(x_ne[first : first + step]) @ fitted_fe.T
            nearest_nk = _smallest(distance_nf, k)
            weight_nk = 1.0 / np.maximum(np.take_along_axis(distance_nf, nearest_nk, axis=1), _NEAREST).astype(np.float64)
            weight_nk /= weight_nk.sum(axis=1, keepdims=True)
            places_n2[first : first + step] = np.einsum("nk,nkc->nc", weight_nk, self.places_f2[nearest_nk])
        return places_n2


def _smallest(distance_nf: np.ndarray, k: int) -> np.ndarray:
    """Return (n, k) columns of the smallest numbers of each row, in no order.

    The k smallest lie in the k groups of columns whose own smallest is smallest: a look at every number and a search among few of
    them take much less time than a search among all.
    """
    n, f = distance_nf.shape
    width = max(1, round(np.sqrt(f / k)))
    groups = f // width
    if groups <= k:
        return np.argpartition(distance_nf, k - 1, axis=1)[:, :k]
    least_ng = distance_nf[:, : groups * width].reshape(n, width, groups).min(axis=1)
    group_nk = np.argpartition(least_ng, k - 1, axis=1)[:, :k]
    column_nc = (group_nk[:, :, None] + groups * np.arange(width)).reshape(n, -1)
    rest_nc = np.broadcast_to(np.arange(groups * width, f), (n, f - groups * width))
    column_nc = np.hstack([column_nc, rest_nc])
    among_nk = np.argpartition(np.take_along_axis(distance_nf, column_nc, axis=1), k - 1, axis=1)[:, :k]
    return np.take_along_axis(column_nc, among_nk, axis=1)


def fit(x_ne: np.ndarray, method: Method, *, seed: int = 0, progress: Progress = silent) -> Projection:
    """Fit a map.

    Parameters
    ----------
    x_ne
        (n, E) finite rows; UMAP compares them by cosine.
    method
        PCA or UMAP. The first UMAP of a process spends about 35 s on compiling before it begins.
    seed
        The same rows and seed give the same map.
    progress
        Told how far a UMAP is; may raise Cancelled.

    Raises
    ------
    RequestError
        When there are too few rows for the method, or one of them is not finite.
    """
    least = LEAST_ROWS[method]
    if len(x_ne) < least:
        remedy = "add studies" if method is Method.PCA else "add studies, or choose PCA"
        raise RequestError(f"a {method.upper()} map needs at least {least} points, there are {len(x_ne)}: {remedy}")
    if not np.isfinite(x_ne).all():
        raise RequestError("a map is made of finite rows only")
    return _pca(x_ne, seed) if method is Method.PCA else _umap(x_ne, seed, progress)


def _pca(x_ne: np.ndarray, seed: int) -> Projection:
    from sklearn.decomposition import PCA  # noqa: PLC0415 - a second of imports that a page does not need

    model = PCA(n_components=2, svd_solver="covariance_eigh", random_state=seed)
    with np.errstate(invalid="ignore"):  # rows that are all the same have no variance to share out
        places_f2 = model.fit_transform(x_ne.astype(np.float64))
    basis_be = np.vstack([model.mean_, model.components_])
    explained = tuple(float(share) for share in np.nan_to_num(model.explained_variance_ratio_))
    return Projection(Method.PCA, basis_be, places_f2.astype(np.float32), explained)


def _umap(x_ne: np.ndarray, seed: int, progress: Progress) -> Projection:
    progress(0.0, "loading UMAP")
    from umap import UMAP  # noqa: PLC0415 - three seconds of imports and its compiler: only the job pays them

    progress(0.02, f"neighbours of {len(x_ne):,} rows (the first time in a process this compiles for half a minute)")
    epochs = _UMAP_EPOCHS[len(x_ne) <= 10_000]

    def round_done(number: int) -> None:
        progress(0.3 + 0.7 * number / epochs, f"arranging {len(x_ne):,} rows: round {number} of {epochs}")

    model = UMAP(
        n_neighbors=NEIGHBOURS,
        metric="cosine",
        random_state=seed,
        n_jobs=1,  # more than one thread would make the seed void
        n_epochs=epochs,
        verbose=True,
        tqdm_kwds={"file": _Rounds(round_done), "mininterval": 0.2, "bar_format": "{n_fmt}\n", "disable": False},
    )
    places_f2 = model.fit_transform(x_ne.astype(np.float32))
    return Projection(Method.UMAP, x_ne.astype(np.float32), np.asarray(places_f2, np.float32), ())


class _Rounds:
    """The file that UMAP's progress bar is written to; hears the number of the round in it."""

    def __init__(self, done: Callable[[int], None]) -> None:
        self._done = done

    def write(self, text: str) -> None:
        number = text.strip()
        if number.isdigit():
            self._done(int(number))

    def flush(self) -> None:
        """Nothing is kept back."""


def unit(x_ne: np.ndarray) -> np.ndarray:
    """Return the rows at length 1 (float32); a row of zeros stays as it is."""
    length_n = np.linalg.norm(x_ne, axis=1, keepdims=True)
    return np.asarray(x_ne / np.where(length_n > 0, length_n, 1.0), np.float32)
