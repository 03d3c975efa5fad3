"""Commands that keep an installation safe: backup, restore, diagnostics."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from sleepfm.administration.backup import back_up
from sleepfm.administration.diagnostics import write_diagnostics
from sleepfm.administration.restore import check, restore
from sleepfm.cli.audit import write_down
from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command
from sleepfm.home import home_folder, open_home
from sleepfm.text import printable, size_words


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    backup = command(
        commands,
        "backup",
        _backup,
        does="copy the home folder into one file, while the app and its jobs go on",
        example="sleepfm backup /mnt/safe/sleepfm.tar",
    )
    backup.add_argument("out", type=Path, metavar="OUT", help="the file to write, or a folder for one named by the day")
    backup.add_argument(
        "--everything",
        action="store_true",
        help="also what can be made again: converted signals, embeddings, indexes, maps, datasets",
    )
    add_home(backup)

    restored = command(
        commands,
        "restore",
        _restore,
        does="bring a backup back into a new or empty home folder",
        example="sleepfm restore /mnt/safe/sleepfm.tar --home /srv/sleepfm",
    )
    restored.add_argument("archive", type=Path, metavar="IN")
    restored.add_argument("--replace", action="store_true", help="take the place of the home that is there, which is kept beside")
    restored.add_argument("--check", action="store_true", help="only compare every checksum; nothing is written")
    add_home(restored)

    diagnostics = command(
        commands,
        "diagnostics",
        _diagnostics,
        does="write versions, settings and the last errors into a file that names no patient, study or folder",
        example="sleepfm diagnostics /tmp/sleepfm-diagnostics.zip",
    )
    diagnostics.add_argument("out", type=Path, metavar="OUT", help="the zip file to write, or a folder for one named by the day")
    add_home(diagnostics)


def _backup(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    done = back_up(home, options.out, everything=options.everything, progress=console.progress)
    write_down(home, "back up", done.path.name, {"everything": options.everything})
    out = done.left_out
    lines = [f"{printable(str(done.path))}: {done.files} files, {size_words(done.bytes)} in {done.seconds:.0f} s"]
    if out["derived"]:
        lines.append(f"left out, can be made again: {out['derived']} files, {size_words(out['derived_bytes'])} (--everything)")
    if out["unused_uploads"]:
        lines.append(f"left out, uploads that no study uses: {out['unused_uploads']} files (--everything)")
    if out["skipped"]:
        lines.append(f"left out, links and names that no other machine takes: {', '.join(out['skipped'])}")
    console.result({**asdict(done), "path": str(done.path)}, "\n".join(lines))
    return 0


def _restore(options: argparse.Namespace, console: Console) -> int:
    if options.check:
        manifest = check(options.archive, console.progress)
        console.result(
            {
                "files": len(manifest.files),
                "bytes": manifest.bytes,
                "made_at": manifest.made_at.isoformat(),
                "home": manifest.home,
            },
            f"{printable(str(options.archive))}: whole, {len(manifest.files)} files, {size_words(manifest.bytes)},"
            f" made {manifest.made_at:%Y-%m-%d %H:%M} UTC from {printable(manifest.home)}",
        )
        return 0
    done = restore(options.archive, home_folder(options.home), replace=options.replace, progress=console.progress)
    lines = [f"{printable(str(done.home))}: {done.files} files, {done.studies} studies"]
    if done.kept is not None:
        lines.append(f"what was there is kept in {printable(str(done.kept))}")
    if done.crashed:
        lines.append(f"{done.crashed} jobs were running when the backup was made; they are marked crashed and can be resumed")
    if done.stopped:
        lines.append(f"{done.stopped} jobs waited when the backup was made; they are stopped and can be resumed")
    console.result(
        {**asdict(done), "home": str(done.home), "kept": None if done.kept is None else str(done.kept)}, "\n".join(lines)
    )
    return 0


def _diagnostics(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    written = write_diagnostics(home, options.out, console.progress)
    write_down(home, "make diagnostics", written.name)
    console.result({"path": str(written)}, f"{printable(str(written))}: look it through before you send it")
    return 0
