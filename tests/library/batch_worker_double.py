"""Does a recording's work for batch tests without loading any model: what it does is in the file's name."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from sleepfm.recording.fingerprint import fingerprint
from sleepfm.signals.study_ids import study_id


def end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(1)


def main() -> None:
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    file, out = Path(request["file"]), Path(request["out"])
    folder = out / f"results of {file.stem}" if file.stem.startswith("alone") else out / file.stem
    folder.mkdir(parents=True, exist_ok=True)
    with (out / "begun.txt").open("a") as log:
        log.write(f"{file.stem} {os.getpid()}\n")
    if file.stem.startswith("alone"):
        (out / study_id(file).casefold()).mkdir()  # another one in the same folder breaks this one
        time.sleep(0.3)
        (out / study_id(file).casefold()).rmdir()
    if file.stem.startswith("slow"):
        print(json.dumps({"progress": 0.5, "message": "half"}), flush=True)
        time.sleep(60)
    if file.stem.startswith("dies"):
        print("x" * 300_000, file=sys.stderr)
        os._exit(9)
    failed = {"stage": "no [channels]\nhere"} if file.stem.startswith("partly") else {}
    (folder / "hypnogram.csv").write_text(file.read_bytes().hex()[:40])
    record = {
        "id": file.stem,
        "out": str(folder),
        "steps": {"convert": 0.1},
        "skipped": {"events": "no flow", "risk": "not asked for"},
        "failed": failed,
        "files": [str(folder / "hypnogram.csv")],
    }
    print("words of a library", flush=True)
    print(json.dumps({"result": record, "sha256": fingerprint(file)}), flush=True)


if __name__ == "__main__":
    main()
