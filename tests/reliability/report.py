"""Write docs/reliability.md from the campaign's log: `python report.py LOG COMMAND SECONDS [REMARK]`, to standard output."""

import json
import os
import platform
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A row of the page: what it tests, the trials that the campaign owes, whether it needs a negative control.

    `elsewhere` says why a row has no test of its own.
    """

    about: str
    trials: int = 0
    has_control: bool = False
    elsewhere: str = ""


ROWS = {
    "A1": Row("SIGKILL at random moments of `train`, resumed until done: the bytes of the uninterrupted run", 1000, True),
    "A2": Row("SIGKILL before and after every primitive of a save", has_control=True),
    "A3": Row("power cut: every legal state of unsynced data and renames", has_control=True),
    "A4": Row(
        "the same on a file system that loses what was not synced (LazyFS)",
        elsewhere="not run: LazyFS would have to be built and mounted; A3 covers the same states",
    ),
    "A5": Row("uninterrupted = resumed ≠ resumed without the optimizer's state", has_control=True),
    "A6": Row("resume with another number of threads, other versions, device, data or options"),
    "A7": Row("resume of a finished run, of a missing run, of a damaged state"),
    "A8": Row("50 kills of one run: the same bytes, no leftover files", trials=5),
    "B1": Row("ENOSPC, EDQUOT, EIO, EROFS, EACCES, EMFILE at every primitive of a save", has_control=True),
    "B2": Row("a real full disk, and a real file size limit"),
    "B3": Row("the disk fills during a download"),
    "B4": Row("folders that cannot be written or entered"),
    "B5": Row("short writes, interrupted calls, slow fsync"),
    "B6": Row("close or fsync fails"),
    "B7": Row("the store is removed, replaced or moved during training"),
    "B8": Row("names and paths too long, names that differ by case"),
    "C1": Row("every bit of a checkpoint's length and header flipped", trials=33_000, has_control=True),
    "C2": Row("a checkpoint truncated or extended", trials=6000),
    "C3": Row("bits of a checkpoint's body flipped", trials=10_000, has_control=True),
    "C4": Row("forged checkpoint headers", trials=10_000),
    "C5": Row("coverage-guided fuzzing of the two decoders"),
    "C6": Row("mutated images and decompression bombs", trials=10_000),
    "C7": Row("damaged IDX files by hand", trials=72, has_control=True),
    "C8": Row("single bytes of IDX files changed", trials=10_000, has_control=True),
    "C9": Row("invalid image numbers"),
    "C10": Row("numeric options out of range"),
    "C11": Row("checkpoints of newer and of older formats"),
    "D1": Row("20 kinds of bad mirror, a good one after it", trials=20, has_control=True),
    "D2": Row("the same without a good one", trials=20),
    "D3": Row("SIGKILL during a download, then a retry", trials=200),
    "D4": Row("eight cold starts at once", trials=20, has_control=True),
    "D5": Row("MNISTAE_OFFLINE: no socket"),
    "D6": Row("a redirect from https to http"),
    "E1": Row("SIGINT, SIGTERM, SIGHUP at random moments", trials=300),
    "E2": Row("two SIGINTs; SIGTERM during a save; SIGSTOP and SIGCONT; window changes", trials=40),
    "E3": Row("the terminal after every kind of ending", trials=20),
    "E4": Row("closed pipes and /dev/full"),
    "E5": Row("nohup, a closed terminal, the background"),
    "E6": Row("locales, encodings, widths", trials=60),
    "E7": Row("odd paths", trials=50),
    "E8": Row("--json under all of them"),
    "F1": Row("users without a home, with an odd one, without a passwd entry"),
    "F2": Row("environment variables: empty, garbage, huge, relative, unwritable", trials=150),
    "F3": Row("clocks that jump"),
    "F4": Row("little memory"),
    "F5": Row("few files, odd thread counts, odd device lists"),
    "F6": Row("devices that are absent or fail"),
    "F7": Row("NaN and infinity in losses, gradients, weights and options"),
    "F8": Row("the rules of Windows, on Linux"),
    "F9": Row("interpreter modes; versions are tested by `make pythons`"),
    "G1": Row("8 writers and 4 readers", has_control=True),
    "G2": Row("8 trainers of one name", trials=20, has_control=True),
    "G3": Row("the holder of a lock is killed", trials=50),
    "G4": Row("a rule-based state machine over the store", trials=200, has_control=True),
    "G5": Row("removal while others read", trials=50),
    "T1": Row("checkpoint: code execution"),
    "T2": Row("checkpoint: memory and time"),
    "T3": Row("checkpoint: false metadata"),
    "T4": Row("a file that changes while it is read"),
    "T5": Row("special files"),
    "T6": Row("images: bombs and parser bugs", elsewhere="see C6"),
    "T7": Row("names that would leave the store", trials=10_000),
    "T8": Row("links in the store are followed"),
    "T9": Row("hostile mirrors"),
    "T10": Row("a tampered data folder", trials=10_000),
    "T11": Row("environment variables"),
    "T12": Row("terminal escapes in foreign text", trials=5000),
    "T13": Row("markup in foreign text"),
    "T14": Row("HTML reports"),
    "T15": Row("slow regular expressions"),
    "T16": Row("locks"),
    "T17": Row("other users of the machine"),
    "T18": Row("secrets and tracebacks in messages"),
    "T19": Row(
        "vulnerabilities in dependencies",
        elsewhere="not run: no service audits the dependencies; their lower bounds are in pyproject.toml",
    ),
    "T20": Row("a hostile working folder"),
    "T21": Row("nothing is written outside the output and the data folder"),
}
"""The rows of the fault matrix and of the threat list."""


def main() -> None:
    """Print the page."""
    log, command, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        found[entry["row"]].append(entry)
    day, cores = datetime.now(UTC).date().isoformat(), len(os.sched_getaffinity(0))
    lines = [
        "# Reliability",
        "",
        "Results of fault injection, generated by `make campaign`, the long form of the tests in `tests/reliability`.",
        "",
        f"Run on {day} by `{command}` in {seconds / 60:.0f} minutes: {cores} cores, Python {platform.python_version()},"
        f" {platform.system()}.",
        *sys.argv[4:],
        "A *negative control* removes a safeguard on purpose: the test must then fail.",
        "",
        "| row | what is done | trials | failures | negative control | notes |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_line(name, row, found[name]) for name, row in ROWS.items()]
    others = [entry["note"] for entry in found[""] if entry["failures"]]
    lines += ["", "Other failures:", "", *(f"- {note}" for note in others)] if others else []
    sys.stdout.write("\n".join(lines) + "\n")


def _line(name: str, row: Row, entries: list[dict[str, Any]]) -> str:
    if not entries:
        return f"| {name} | {row.about} | | | | {row.elsewhere or '**no result**: failed, or not run'} |"
    trials, failures = (sum(entry[key] for entry in entries) for key in ("trials", "failures"))
    control, notes = ("; ".join(dict.fromkeys(e[key] for e in entries if e[key])) for key in ("control", "note"))
    missing = [f"**of {row.trials:,} trials**"] if trials < row.trials else []
    missing += ["**no negative control**"] if row.has_control and not control else []
    notes = "; ".join([*missing, *([notes] if notes else [])]).replace("|", "\\|")
    return f"| {name} | {row.about} | {trials:,} | {failures} | {control} | {notes} |".replace("  ", " ")


if __name__ == "__main__":
    main()
