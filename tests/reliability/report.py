"""Write docs/reliability.md from the campaign's log: `python report.py LOG COMMAND SECONDS [REMARK]`, to standard output."""

import json
import os
import platform
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROWS = {
    "A1": "SIGKILL at random moments of `train`, resumed until done: the bytes of the uninterrupted run",
    "A2": "SIGKILL before and after every primitive of a save",
    "A3": "power cut: every legal state of unsynced data and renames",
    "A4": "the same on a file system that loses what was not synced (LazyFS)",
    "A5": "uninterrupted = resumed ≠ resumed without the optimizer's state",
    "A6": "resume with another number of threads, other versions, device, data or options",
    "A7": "resume of a finished run, of a missing run, of a damaged state",
    "A8": "50 kills of one run: the same bytes, no leftover files",
    "B1": "ENOSPC, EDQUOT, EIO, EROFS, EACCES, EMFILE at every primitive of a save",
    "B2": "a real full disk, and a real file size limit",
    "B3": "the disk fills during a download",
    "B4": "folders that cannot be written or entered",
    "B5": "short writes, interrupted calls, slow fsync",
    "B6": "close or fsync fails",
    "B7": "the store is removed, replaced or moved during training",
    "B8": "names and paths too long, names that differ by case",
    "C1": "every bit of a checkpoint's length and header flipped",
    "C2": "a checkpoint truncated or extended",
    "C3": "bits of a checkpoint's body flipped",
    "C4": "forged checkpoint headers",
    "C5": "coverage-guided fuzzing of the two decoders",
    "C6": "mutated images and decompression bombs",
    "C7": "damaged IDX files by hand",
    "C8": "single bytes of IDX files changed",
    "C9": "invalid image numbers",
    "C10": "numeric options out of range",
    "C11": "checkpoints of newer and of older formats",
    "D1": "20 kinds of bad mirror, a good one after it",
    "D2": "the same without a good one",
    "D3": "SIGKILL during a download, then a retry",
    "D4": "eight cold starts at once",
    "D5": "MNISTAE_OFFLINE: no socket",
    "D6": "a redirect from https to http",
    "E1": "SIGINT, SIGTERM, SIGHUP at random moments",
    "E2": "two SIGINTs; SIGTERM during a save; SIGSTOP and SIGCONT; window changes",
    "E3": "the terminal after every kind of ending",
    "E4": "closed pipes and /dev/full",
    "E5": "nohup, a closed terminal, the background",
    "E6": "locales, encodings, widths",
    "E7": "odd paths",
    "E8": "--json under all of them",
    "F1": "users without a home, with an odd one, without a passwd entry",
    "F2": "environment variables: empty, garbage, huge, relative, unwritable",
    "F3": "clocks that jump",
    "F4": "little memory",
    "F5": "few files, odd thread counts, odd device lists",
    "F6": "devices that are absent or fail",
    "F7": "NaN and infinity in losses, gradients, weights and options",
    "F8": "the rules of Windows, on Linux",
    "F9": "interpreter modes; versions are tested by `make pythons`",
    "G1": "8 writers and 4 readers",
    "G2": "8 trainers of one name",
    "G3": "the holder of a lock is killed",
    "G4": "a rule-based state machine over the store",
    "G5": "removal while others read",
    "T1": "checkpoint: code execution",
    "T2": "checkpoint: memory and time",
    "T3": "checkpoint: false metadata",
    "T4": "a file that changes while it is read",
    "T5": "special files",
    "T6": "images: bombs and parser bugs",
    "T7": "names that would leave the store",
    "T8": "links in the store are followed",
    "T9": "hostile mirrors",
    "T10": "a tampered data folder",
    "T11": "environment variables",
    "T12": "terminal escapes in foreign text",
    "T13": "markup in foreign text",
    "T14": "HTML reports",
    "T15": "slow regular expressions",
    "T16": "locks",
    "T17": "other users of the machine",
    "T18": "secrets and tracebacks in messages",
    "T19": "vulnerabilities in dependencies",
    "T20": "a hostile working folder",
    "T21": "nothing is written outside the output and the data folder",
}
"""What each row of the fault matrix and of the threat list tests."""

ELSEWHERE = {
    "T6": "see C6",
    "T19": "not run: no service audits the dependencies; their lower bounds are in pyproject.toml",
    "A4": "not run: LazyFS would have to be built and mounted; A3 covers the same states",
}
"""Rows without tests of their own, and why."""


MIN_TRIALS = {
    "A1": 1000,
    "A8": 5,
    "C1": 33_000,
    "C2": 6000,
    "C3": 10_000,
    "C4": 10_000,
    "C6": 10_000,
    "C7": 72,
    "C8": 10_000,
    "D1": 20,
    "D2": 20,
    "D3": 200,
    "D4": 20,
    "E1": 300,
    "E2": 40,
    "E3": 20,
    "E6": 60,
    "E7": 50,
    "F2": 150,
    "G2": 20,
    "G3": 50,
    "G4": 200,
    "G5": 50,
    "T7": 10_000,
    "T10": 10_000,
    "T12": 5000,
}
"""The trials that the campaign has to make."""

CONTROLLED = ("A1", "A2", "A3", "A5", "B1", "C1", "C3", "C7", "C8", "D1", "D4", "G1", "G2", "G4")
"""Rows that need a negative control."""


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
        "What was done to `mnistae` on purpose, and the results. Generated by `make campaign`, the long form of the tests in"
        " `tests/reliability`; not written by hand.",
        "",
        f"Run on {day} by `{command}` in {seconds / 60:.0f} minutes: {cores} cores, Python {platform.python_version()},"
        f" {platform.system()}.",
        *sys.argv[4:],
        "A *negative control* breaks the product on purpose, and the test has to notice.",
        "",
        "| row | what is done | trials | failures | negative control | notes |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(row, about, found[row]) for row, about in ROWS.items()]
    others = [entry["note"] for entry in found[""] if entry["failures"]]
    lines += ["", "Other failures:", "", *(f"- {note}" for note in others)] if others else []
    sys.stdout.write("\n".join(lines) + "\n")


def _row(row: str, about: str, entries: list[dict[str, Any]]) -> str:
    if not entries:
        note = ELSEWHERE.get(row, "**no result**: failed, or not run")
        return f"| {row} | {about} | | | | {note} |"
    trials, failures = (sum(entry[key] for entry in entries) for key in ("trials", "failures"))
    control, notes = ("; ".join(dict.fromkeys(e[key] for e in entries if e[key])) for key in ("control", "note"))
    missing = [f"**of {MIN_TRIALS[row]:,} trials**"] if trials < MIN_TRIALS.get(row, 0) else []
    missing += ["**no negative control**"] if row in CONTROLLED and not control else []
    notes = "; ".join([*missing, *([notes] if notes else [])]).replace("|", "\\|")
    return f"| {row} | {about} | {trials:,} | {failures} | {control} | {notes} |".replace("  ", " ")


if __name__ == "__main__":
    main()
