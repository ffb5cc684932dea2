"""Rows E6, E7 and E8: in every locale, encoding and width, and with every path, text can be written and JSON parses."""

import json
import os
from pathlib import Path

import numpy as np
from harness import LONG, ForkServer, record
from PIL import Image

from conftest import mnistae, write_idx

SETTINGS: dict[str, dict[str, str | None]] = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Latin-1": {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "UTF-8 mode off": {"PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"},
    "dumb": {"TERM": "dumb"},
    "no TERM": {"TERM": None},
    "COLUMNS=0": {"COLUMNS": "0"},
    "COLUMNS=1": {"COLUMNS": "1", "TERMINAL_WIDTH": None},
    "COLUMNS=abc": {"COLUMNS": "abc", "TERMINAL_WIDTH": "abc"},
    "COLUMNS=100000": {"COLUMNS": "100000", "TERMINAL_WIDTH": None},
}
COMMANDS: list[tuple[tuple[str, ...], int]] = [
    (("summary", "--json"), 0),
    (("summary", "-c", "grün-😀"), 2),
    (("--help",), 0),
    (("checkpoints", "list"), 0),
    (("reconstruct", "1", "-o", "ü-😀.png"), 0),
]


def test_settings(trained: str) -> None:
    """E6 and E8: none of the settings costs a message, a table or a file; the JSON document is the same under all of them."""
    documents, count = set(), 0
    for name, setting in SETTINGS.items():
        env = {key: value for key, value in {**os.environ, **setting}.items() if value is not None}
        for words, code in COMMANDS if LONG else COMMANDS[:2]:
            done = mnistae(*words, env=env)
            assert done.returncode == code, (name, words, done.stderr)
            assert b"Traceback" not in done.stderr
            assert b"UnicodeEncodeError" not in done.stderr
            count += 1
            if "--json" in words:
                assert json.loads(done.stdout)["schema"] == 1
                assert done.stdout.isascii()
                documents.add(done.stdout)
    assert len(documents) == 1
    record("E6", trials=count, note=f"{len(SETTINGS)} settings")
    record("E8", trials=len(SETTINGS), note="the same document under every setting")


NAMES = {
    "space": "with space",
    "newline": "new\nline",
    "emoji": "emoji-😀",
    "no UTF-8": os.fsdecode(b"raw-\xff\xfe"),
    "dash": "-dash",
    "long": "n" * 251,
    "tab": "tab\tand 'quote\"",
    "percent": "%s {0} $HOME",
    "bidi": "bidi\u202e",
    "escape": "esc\x1b[31m",
}


def test_odd_paths(forks: ForkServer, digits: dict[str, np.ndarray], trained: str, home: Path) -> None:
    """E7: a path of any bytes works as output, input, data set, checkpoint and home; messages about it are harmless text."""
    work = home.parent
    for name in NAMES.values():
        write_idx(work / name, digits)
        (work / f"{name}.st").write_bytes((home / "checkpoints" / trained / "model.safetensors").read_bytes())
        if len(name) < 251:
            (work / f"{name}.safetensors").write_bytes((work / f"{name}.st").read_bytes())
        Image.fromarray(digits["train_images"][3]).save(work / f"{name}.png")
        uses: list[tuple[tuple[str, ...], dict[str, str | None]]] = [
            (("reconstruct", "1", "-o", f"./{name}.svg"), {}),
            (("reconstruct", f"./{name}.png", "--json"), {}),
            (("datasets", "verify", f"./{name}"), {}),
            (("summary", "-c", f"./{name}.safetensors"), {}),
            (("checkpoints", "list", "--json"), {"MNISTAE_HOME": str(work / name / "home")}),
        ]
        for words, env in uses:
            ended = forks.run(*words, home=work, env=env)
            is_too_long = len(f"{name}.safetensors") > 255 and "-c" in words
            assert ended.code in ({2, 3} if is_too_long else {0}), (name[:20], words, ended.err)
            assert "Traceback" not in ended.err
            assert ended.err.replace("\n", "").isprintable()
            if "--json" in words:
                json.loads(ended.out)
        assert (work / f"{name}.svg").exists()
    record("E7", trials=5 * len(NAMES), note=", ".join(NAMES))
