"""Rows C9, C10 and T7: invalid image numbers, numeric options and names, and names that lead out of the store."""

import inspect
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.cli.app import COMMANDS, load
from mnistae.core.errors import MnistaeError
from mnistae.store import names, runs
from tests.conftest import TEST, TRAIN, Cli
from tests.support.client import LONG, is_clean_error, log_result, trials
from tests.support.invocations import parameters

pytestmark = pytest.mark.timeout(1200 if LONG else 120)

TAKES_IMAGES = [
    name for name in COMMANDS if {"image", "images"} & inspect.signature(load(name)).parameters.keys() and name != "report"
]
NUMBERS = [
    *("-1", str(TRAIN), str(2**31), str(2**63), "1" + "0" * 30, "1e3", "", "٣", "0x1", "--index=-1", "1_0", "+1", " 1", "1.0"),
]


@pytest.mark.parametrize("command", TAKES_IMAGES)
def test_image_numbers(cli: Cli, trained: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """C9: an invalid image number is a usage error in every command; the last image is valid."""
    monkeypatch.setenv("MNISTAE_CHECKPOINT", trained)
    tried = 0
    for number in NUMBERS if LONG else NUMBERS[TAKES_IMAGES.index(command) :: len(TAKES_IMAGES)]:
        for word in (number, f"test:{number}", f"train:{number}", f"digit:{number}", f"digit:3/{number}"):
            words = (command, word) if word.startswith("--") else (command, "--", word)
            answer = cli(*words, "0") if command == "interpolate" else cli(*words)
            assert (answer.code, answer.out) == (2, ""), (word, answer.err)
            assert is_clean_error(answer), word
            tried += 1
    for word in (str(TRAIN - 1), f"train:{TRAIN - 1}", f"test:{TEST - 1}"):
        answer = cli(command, word, *(["0"] if command == "interpolate" else []), "--json")
        assert answer.code == 0, answer.err
        assert f'"{word}"' in answer.out
        tried += 1
    log_result("C9", trials=tried, note=f"commands: {', '.join(TAKES_IMAGES)}")


INTEGERS = {
    ("train", "--epochs"): (1, 10_000),
    ("train", "--batch-size"): (1, 65_536),
    ("train", "--bottleneck"): (1, 392),
    ("train", "--hidden"): (1, 2048),
    ("train", "--seed"): (0, 2**32 - 1),
    ("train", "--threads"): (1, 4096),
    ("summary", "--bottleneck"): (1, 392),
    ("summary", "--hidden"): (1, 2048),
    ("evaluate", "--extremes"): (1, 100),
    ("evaluate", "--knn"): (1, 100),
    ("map", "--count"): (4, 60_000),
    ("map", "--seed"): (0, 2**32 - 1),
    ("interpolate", "0", "1", "--steps"): (2, 1000),
    ("traverse", "0", "--steps"): (2, 1000),
    ("traverse", "0", "--unit"): (0, 7),
    ("denoise", "0", "-c", "tiny", "--seed"): (0, 2**32 - 1),
}
"""Options that take whole numbers, and the least and the greatest that they take."""

NO_INTEGERS = ["", "x", "1e3", "0x10", "1.5", "nan", "inf", "1,000", "--", "9" * 5000]

FLOATS = {
    ("train", "--lr"): (["0", "-1", "nan", "inf", "-inf", "1e400", "1e-400"], "a finite number above 0"),
    ("train", "--weight-decay"): (["-1", "-1e-300", "nan", "inf", "-inf", "1e400"], "a finite number, 0 or above"),
    ("interpolate", "0", "1", "-f", "gif", "--fps"): (["0", "-1", "0.09", "50.1", "nan", "inf"], "a number from 0.1 to 50"),
    ("denoise", "0", "-c", "tiny", "--level"): (
        ["-1", "-0.001", "100.1", "nan", "inf", "-inf", "1e400"],
        "a number from 0 to 100",
    ),
    ("denoise", "0", "-c", "tiny", "--noise", "mask", "--level"): (["-0.5", "1.01", "nan", "inf"], "a number from 0 to 1 "),
    ("denoise", "0", "-c", "tiny", "--noise", "salt-pepper", "--level"): (["-0.5", "1.01", "nan"], "a number from 0 to 1 "),
}
"""Options that take any number: what they refuse, and the range that the hint names."""


def test_every_number_has_its_range() -> None:
    """C10: the two tables have every option of every command that takes a number."""
    numbers = [one for one in parameters() if one.kind in {int, float}]
    expected = {kind: {(*one.command.split(), one.option) for one in numbers if one.kind is kind} for kind in (int, float)}
    for table, kind in ((INTEGERS, int), (FLOATS, float)):
        assert {(words[0], words[-1]) for words in table} == expected[kind]


def refused(cli: Cli, words: tuple[str, ...], hint: str) -> bool:
    """Whether a command ends as a usage error with a hint that says this, and does nothing else."""
    answer = cli(*words)
    return (answer.code, answer.out) == (2, "") and is_clean_error(answer) and hint in answer.err.splitlines()[-1]


def test_numbers_out_of_range(cli: Cli, trained: str, tiny: Path, home: Path) -> None:
    """C10: a number that an option does not take is a usage error that names the range, and nothing is begun."""
    before, tried = sorted(home.rglob("*")), 0
    for words, (least, most) in INTEGERS.items():
        extra = ("--dataset", str(tiny)) if words[0] == "train" else ()
        for value in (least - 1, most + 1, -1 if least == 1 else -2, 2**31 if most < 2**31 else 2**63, 10**30)[: trials(2, 5)]:
            assert refused(cli, (*words, str(value), *extra), f" from {least:,} to {most:,}"), (words, value)
            tried += 1
        for text in NO_INTEGERS if LONG else NO_INTEGERS[len(words) + least :: 5]:
            assert refused(cli, (*words, text, *extra), "must be an integer"), (words, text)
            tried += 1
    for words, (values, hint) in FLOATS.items():
        for text in values:
            assert refused(cli, (*words, text), hint), (words, text)
            tried += 1
    assert sorted(home.rglob("*")) == before
    log_result("C10", trials=tried)


def test_numbers_at_the_ends_of_their_ranges(cli: Cli, trained: str, tiny: Path) -> None:
    """C10: the least and the greatest number are taken, and mean what they say; a batch may exceed the data set."""
    small = ("train", "--dataset", str(tiny), "--hidden", "1", "--bottleneck", "1", "--epochs", "1", "-q")
    good = [
        (*small, "--batch-size", "65536", "--name", "a"),
        (*small, "--batch-size", "600", "--seed", str(2**32 - 1), "--name", "b"),
        (*small, "--batch-size", "600", "--lr", "1e-300", "--weight-decay", "0", "--name", "c"),
        ("summary", "--hidden", "2048", "--bottleneck", "392"),
        ("summary", "--hidden", "1_0"),  # Python's way to write ten
        ("interpolate", "0", "1", "--steps", "2", "--json"),
        ("interpolate", "0", "1", "--steps", "1000", "--json"),
        ("interpolate", "0", "1", "--fps", "50", "-f", "gif"),
        ("evaluate", "--extremes", "100", "--knn", "100", "--json"),  # as many as there are test images
        ("evaluate", "--extremes", "1", "--knn", "1", "--json"),
        ("traverse", "0", "-c", "tiny", "--unit", "7", "--steps", "1000", "--json"),
        ("denoise", "0", "-c", "tiny", "--level", "0", "--json"),
        ("denoise", "0", "-c", "tiny", "--level", "1e-400", "--json"),  # a float's 0
        ("denoise", "0", "-c", "tiny", "--level", "100", "--json"),
        ("denoise", "0", "-c", "tiny", "--noise", "mask", "--level", "1", "--seed", str(2**32 - 1), "--json"),
    ]
    for words in good:
        assert cli(*words).code == 0, words
    assert cli("summary", "--hidden", "1_0").out == cli("summary", "--hidden", "10").out
    log_result("C10", trials=len(good))


UNSAFE = [
    # what huggingface_hub's and pip's tests refuse as names of files
    *("../", "..", "../../file", "a/../../b", "/etc/passwd", "\\\\server\\share", "C:\\x", "C:x", "..\\up", "a\\..\\..\\b"),
    *("a/b", "a\0b", "a\nb", " ", "~", "~root/x", ".", "./a", "a/", "a//b", "file:///etc/passwd", "https://x/y", "%2e%2e%2f"),
    *("-rf", "--help", "$HOME", "`id`", "$(id)", "a;b", "a|b", "a>b", "a*", "a?", "[a]", "'a'", '"a"', "a\tb", "a\rb"),
    *("CON", "nul.txt", "COM1", "lpt9.a", "a.", "a ", "\u2024\u2024/", "\uff0e\uff0e\uff0f", "a\u202eb", "e\u0301", "\u00e9"),
    "\udcff",
    *("x" * 65, "x" * 300, "x" * 5000, "\x1b[2J", "a.safetensors", ".locks", ".recent", ".removed-1"),
]


def test_unsafe_names(cli: Cli, trained: str, home: Path, tmp_path: Path) -> None:
    """T7: no name that others were attacked with is taken, by the store or by a command, and nothing appears anywhere."""
    before = sorted(tmp_path.rglob("*"))
    commands = [("train", "--dataset", "glyphs", "--name"), ("train", "--resume", "--name")]
    commands += [("checkpoints", "import", "x.pth", "--name"), ("checkpoints", "remove", "--"), ("checkpoints", "verify", "--")]
    for name in UNSAFE:
        assert not names.is_valid(name), name
        if "\0" in name:
            continue  # no process can be given it
        for words in commands if LONG else commands[len(name) % 5 :][:1]:
            answer = cli(*words, name)
            assert answer.code == 2, (words, name, answer.err)
    assert sorted(tmp_path.rglob("*")) == before
    log_result("T7", trials=len(UNSAFE), note=f"{len(UNSAFE)} known attacks in 5 commands")


FRAGMENTS = st.sampled_from(["..", "/", "\\", ".", "~", "-", "\0", "\n", "con", "a", "C:", "%2e", " ", ".safetensors"])
ANY_NAME = st.text(st.characters(exclude_categories=[]), max_size=80) | st.lists(FRAGMENTS, max_size=8).map("".join)


def leaves(name: str) -> bool:
    """Whether a name that the store takes leads to a place that is not a plain folder in the store."""
    try:
        folder = runs.folder(name)
    except MnistaeError:
        return False
    return folder.parent != runs.folder("x").parent or folder.name != name or name in {".", ".."} or runs.is_path(name)


def test_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """T7: of any texts the store takes those that name a folder in it, and no others."""
    tried: list[bool] = []

    @settings(max_examples=trials(60, 10_000))
    @given(ANY_NAME)
    def try_one(name: str) -> None:
        tried.append(leaves(name))

    try_one()
    assert not any(tried)
    number = len(tried)
    monkeypatch.setattr(names, "check", str)
    try_one()
    seen = sum(tried)
    assert seen > number / 10
    log_result("T7", trials=number, control=f"names not checked: {seen:,} of {len(tried) - number:,} lead out of the store")
