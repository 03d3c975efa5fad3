"""The embeddings kept of a study, as long as they are of its present file with its present channels."""

from __future__ import annotations

from sleepfm.inference.embedding_files import Embeddings, embedding_paths, read_embeddings
from sleepfm.library.channel_corrections import CorrectionsByMontage
from sleepfm.library.library import Library
from sleepfm.vocabulary import TOKEN_S


def present_embeddings(library: Library, study: str, encoder: str, row_s: float) -> Embeddings | None:
    """Return what an encoder made of a study.

    Parameters
    ----------
    study
        Its id.
    encoder
        The first 16 digits of its weights' hash, or all of them.
    row_s
        Seconds a row: `TOKEN_S` or `WINDOW_S`.

    Returns
    -------
    Embeddings or None
        None when there are none, or they were made from another file or before users corrected the channels.

    Raises
    ------
    RecordingError
        The file is damaged.
    """
    paths = embedding_paths(library.home.studies / study / "embeddings" / encoder[:16], study)
    path = paths[0] if row_s == TOKEN_S else paths[1]
    if not path.is_file():
        return None
    found, known = read_embeddings(path), library.study(study)
    present = (known.sha256, CorrectionsByMontage(library).of(known.montage))
    return found if known.sha256 is not None and (found.origin.source_sha256, found.origin.corrections) == present else None
