"""Previews on a terminal, and nowhere else."""

import re
from pathlib import Path

import pytest

from tests.conftest import Cli, run_cli, run_in_pty

SCREEN = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "LC_ALL": "C.UTF-8", "COLORTERM": ""}

DRAWING = ["reconstruct 1 2", "denoise 1 -c tiny", "interpolate 1 2 -n 50 -f npy", "traverse 1 --unit 0", "decode codes.csv"]


@pytest.mark.parametrize("words", DRAWING)
def test_a_terminal_gets_the_pictures(cli: Cli, trained: str, words: str) -> None:
    """Grey half-blocks, no wider than 80 columns and no taller than the screen, with colours reset at the end; a pipe none."""
    Path("codes.csv").write_text("1,0,2,0,1,0.5,3,0\n" * 30)
    code, text = run_in_pty(*words.split(), **SCREEN)
    assert code == 0, text
    assert "▀" in text
    assert "\x1b[38;5;" in text
    lines = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", text).replace("\r", "").splitlines()
    assert max(len(line) for line in lines if "▀" in line) <= 80
    assert len(lines) <= 24
    assert text.rindex("\x1b[0m") > text.rindex("\x1b[38;")
    assert Path(lines[-1]).exists()  # the result comes last
    piped = cli(*words.split())
    assert piped.code == 0
    assert not re.search("▀|[-.:=+*#%@]{6}|\x1b", piped.out + piped.err)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"LC_ALL": "C"}, {"TERM": "vt100"}], ids=str)
def test_without_colour_pictures_are_characters(trained_store: Path, environment: dict[str, str]) -> None:
    """Without colours or Unicode the preview is plain ASCII."""
    words = ("interpolate", 0, 1, "-c", "lab", "--dataset", trained_store.parent / "tiny", "-f", "npy")  # without matplotlib
    code, text = run_in_pty(*words, **SCREEN | environment)
    assert (code, text.isascii(), "\x1b[38;" in text) == (0, True, False)
    assert re.search("[#%@]{2}", text)


@pytest.mark.parametrize(
    ("words", "size", "is_drawn"),
    [
        ("traverse 1 -f npy", ("140", "80"), True),
        ("traverse 1 -f npy", ("80", "24"), False),
        ("evaluate --extremes 2", ("80", "24"), True),
        ("evaluate", ("80", "24"), False),
        ("interpolate 1 2 -q", ("80", "24"), False),
        ("reconstruct 1 --json", ("80", "24"), True),
    ],
)
def test_when_pictures_are_shown(trained: str, words: str, size: tuple[str, str], is_drawn: bool) -> None:
    """All units if eight frames fit side by side, the worst images above the table, with --json too, never with -q."""
    text = run_in_pty(*words.split(), **SCREEN | {"COLUMNS": size[0], "LINES": size[1]})[1]
    assert ("▀" in text) is is_drawn
    assert "active bottleneck units" not in text[: text.rfind("▀") + 1]
    assert words != "interpolate 1 2 -q" or text == "interpolate-1-2.png\r\n"
    assert size[1] == "24" or all(re.search(rf"^unit {unit}\b", text, re.MULTILINE) for unit in range(8))


def test_training_has_a_live_bar(tiny: Path, home: Path) -> None:
    """It shows the run so far, is cleared, and does not change the run's bytes."""
    words = ("train", "--dataset", tiny, "-e", 40, "-b", 256, "--hidden", 16, "--name", "live", "--force")
    code, text = run_in_pty(*words, **SCREEN)
    assert code == 0
    assert re.search(r"[▁-█]{30,}  [1-8] of 8 units active", text)
    assert all(re.search(shown, text) for shown in ("/40", "loss 0", "lr 0.001", "images/s", r"\d:\d\d:\d\d"))
    assert "\x1b[2K" in text[text.rindex("40/40") :]
    watched = (home / "checkpoints" / "live" / "state.safetensors").read_bytes()
    assert run_cli(*words).returncode == 0
    assert (home / "checkpoints" / "live" / "state.safetensors").read_bytes() == watched
