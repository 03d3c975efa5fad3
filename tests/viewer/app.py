"""The viewer alone, over the recordings of a folder: `python tests/viewer/app.py FOLDER PORT`.

Beside `night.edf` may lie scorings of it: `night.csv`, `night.second.csv`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from viewer.folder_source import FolderSource  # noqa: E402

from sleepfm.recording.scorings.formats import read_scoring  # noqa: E402
from sleepfm.viewer.routes import viewer_routes  # noqa: E402
from sleepfm.viewer.study_source import NamedScoring  # noqa: E402


def main(folder: Path, port: int) -> None:
    source = FolderSource({file.stem: file for file in folder.glob("*.edf")})
    for study in source.files:
        source.named[study] = [
            NamedScoring(file.name, f"Scorer {number}", "", read_scoring(file))
            for number, file in enumerate(sorted(folder.glob(f"{study}*.csv")), start=1)
        ]
    app = st.App(HERE / "page.py", routes=viewer_routes(source, HERE.parents[1] / "assets"))
    app.run(
        config={
            "server.address": "127.0.0.1",
            "server.port": port,
            "server.headless": True,
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": False,
            "client.toolbarMode": "viewer",
        }
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
