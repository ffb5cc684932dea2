"""Commands under a shell: how they end by signals, when a live bar is drawn, and at which width."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistae import __main__
from mnistae.cli import main
from mnistae.cli.terminal import can_redraw
from tests.conftest import Cli, Digits, run_process, write_idx
from tests.support.client import ForkServer, wait_until
from tests.support.terminals import HIDE, SHOW, Terminal, on, wait_until_caught

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see a process's handlers")


@pytest.fixture
def words(tmp_path: Path, digits: Digits) -> tuple[object, ...]:
    """A training that is too long to end by itself."""
    return ("train", "--dataset", write_idx(tmp_path / "data", digits), "-e", 9000, "-b", 256, "--hidden", 16, "--name", "r")


def wait_for(text: Callable[[], str], wanted: str, start: int = 0) -> None:
    """Wait until a text contains what is wanted, after its first characters."""
    wait_until(lambda: wanted in text()[start:], 60)
    assert wanted in text()[start:], text()


EXITS = "import signal, sys; [signal.signal(number, lambda *_: sys.exit(130)) for number in (2, 15)]; sys.stdin.read()"


@pytest.mark.parametrize("arguments", [["-m", "mnistae", "decode"], ["-c", EXITS]], ids=["ours", "control: exit code 130"])
def test_one_ctrl_c_stops_a_shell_loop(arguments: list[str]) -> None:
    """A shell continues its loop after an exit code of 130, but not after a command that SIGINT has ended."""
    script = 'for k in 1 2; do (echo $BASHPID; exec "$@"); echo "code $?"; done'
    command = ["bash", "-c", script, "bash", sys.executable, *arguments]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, start_new_session=True, text=True) as shell:
        assert shell.stdout is not None
        wait_until_caught(int(shell.stdout.readline()))  # not SIGINT, which Python catches from its start
        os.killpg(shell.pid, signal.SIGINT)
        rest, _ = shell.communicate(timeout=60)
    is_ours = arguments[0] == "-m"
    lines = [line for line in rest.splitlines() if not line.isdigit()]
    assert (lines, shell.returncode) == (([], -signal.SIGINT) if is_ours else (["code 130", "code 0"], 0))


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
def test_signals_save(forks: ForkServer, words: tuple[object, ...], tmp_path: Path, number: signal.Signals) -> None:
    """The signals of job schedulers save as SIGTERM does; a shell sees 128 plus the number."""
    running = forks.start(*words, home=tmp_path)
    wait_for(lambda: running.err.read_text() if running.err.exists() else "", "epoch")
    running.kill(number)
    ended = running.wait()
    assert ended.code == 128 + number
    assert "interrupted after epoch" in ended.err
    assert list(tmp_path.rglob("state.safetensors"))


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGQUIT], ids=["Ctrl-Z", "Ctrl-backslash"])
def test_keys_of_the_terminal(forks: ForkServer, words: tuple[object, ...], tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-Z and Ctrl-backslash leave the cursor visible; after Ctrl-Z the bar goes on."""
    with Terminal() as terminal:
        running = forks.start(*words, home=tmp_path, **on(terminal))
        wait_for(terminal.text, "loss 0.")
        running.kill(number)
        wait_for(terminal.text, SHOW, terminal.text().rfind(HIDE))
        if number == signal.SIGTSTP:  # in a session of its own it does not even stop
            running.kill(signal.SIGCONT)
            wait_for(terminal.text, "loss 0.", len(terminal.text()))
            running.kill(signal.SIGKILL)
            number = signal.SIGKILL
        assert running.wait().code == -number


@pytest.mark.parametrize(
    ("setting", "is_drawn"),
    [("CI=false", True), ("TERM=dumb", False), ("TERM=unknown", False), ("JPY_PARENT_PID=1", False), ("CI=1", False)],
)
def test_where_a_bar_is_drawn(monkeypatch: pytest.MonkeyPatch, setting: str, is_drawn: bool) -> None:
    """Not where a bar cannot be drawn over, or nobody sees it: epochs are plain lines there."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(*setting.split("="))
    terminal, child = os.openpty()
    with open(terminal, "rb"), open(child, "w") as stderr:  # noqa: PTH123 - descriptors
        monkeypatch.setattr(sys, "stderr", stderr)
        assert can_redraw() is is_drawn


@pytest.mark.parametrize(("size", "kept"), [(40, None), (0, "300")], ids=["size of the terminal", "control: no size"])
def test_exported_columns(monkeypatch: pytest.MonkeyPatch, size: int, kept: str | None) -> None:
    """An exported COLUMNS does not make the bar wider than the terminal, which it would then flood."""
    monkeypatch.setattr(os, "get_terminal_size", lambda _fd: os.terminal_size((size, 30)))
    monkeypatch.setenv("COLUMNS", "300")
    __main__._sanitize_environment()
    assert os.environ.get("COLUMNS") == kept


@pytest.mark.parametrize("words", ["checkpoints list", "train", "doctor"])
def test_removed_working_directory(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """A command that needs the working directory says that it is gone; the import of torch would end the process there."""
    (tmp_path / "removed").mkdir()
    monkeypatch.chdir(tmp_path / "removed")
    (tmp_path / "removed").rmdir()
    if words == "checkpoints list":
        monkeypatch.setenv("MNISTAE_HOME", "relative")
    answer = cli(*words.split())
    assert (answer.code, answer.err) == (2, "error: the working directory has been removed\nhint: change to another one\n")


@pytest.mark.parametrize(
    ("words", "unbuffered", "completing", "code"),
    [(["summary"], "1", "", 7), (["no", "--json"], "", "", 2), ([], "", "complete_bash", 0)],
)
def test_full_disk(words: list[str], unbuffered: str, completing: str, code: int) -> None:
    """The exit code is the command's own also where the interpreter's last flush would fail and exit with 120."""
    variables = {"PYTHONUNBUFFERED": unbuffered, "_MNISTAE_COMPLETE": completing, "COMP_WORDS": "mnistae t", "COMP_CWORD": "1"}
    with Path("/dev/full").open("wb") as full:
        done = run_process(*words, stdout=full, stderr=subprocess.PIPE, env=os.environ | variables)
    assert done.returncode == code
    assert b"Exception" not in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "source", "words", "code", "shown"),
    [
        ("typing", "x = 1", "--version", 1, "typing.py' is imported instead"),
        ("typing", "import os; os.kill(os.getpid(), 2)", "--version", -2, ""),  # Ctrl-C before the handlers are installed
        ("numpy", "x = 1", "reconstruct 1", 1, "numpy.py' is imported instead"),
        ("numpy", "raise SystemExit(0)", "reconstruct 1", 1, "numpy.py' is imported instead"),
        ("elsewhere", "x = 1", "summary", 0, "fc1"),
    ],
)
def test_module_in_the_way(tmp_path: Path, module: str, source: str, words: str, code: int, shown: str) -> None:
    """A file that is imported in place of a library is named with its path."""
    (tmp_path / f"{module}.py").write_text(source)
    command = [str(Path(sys.executable).with_name("mnistae")), *words.split()]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert shown in done.stdout + done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


@pytest.mark.parametrize("word", ["--output=~/x.png", "-o~/x.png"])
def test_tilde(trained: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """A ~ that no shell expands, and a variable that does not exist."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MNISTAE_HOMES", "x")
    answer = cli("reconstruct", "1", word)
    assert answer.out == f"{tmp_path}/x.png\n"
    assert answer.err.startswith("warning: unknown environment variable 'MNISTAE_HOMES', did you mean 'MNISTAE_HOME'?\n")
    assert (tmp_path / "x.png").is_file()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *(("~", "/me"), ("-o~", "-o/me"), ("--dataset=~", "--dataset=/me"), ("~/a\nb", "/me/a\nb")),
        ("--output=~root/x.png", f"--output={os.path.expanduser('~root')}/x.png"),  # noqa: PTH111 - for comparison
        *((word, word) for word in ("~root/x.png", "~x.png", "-o~x.png", "a~/x.png", "--output=./~/x.png", "~\n")),
    ],
)
def test_expanded_arguments(monkeypatch: pytest.MonkeyPatch, word: str, expected: str) -> None:
    """A ~ alone or before a slash is the home folder; after the = of an option it may also be that of a user."""
    monkeypatch.setenv("HOME", "/me")
    monkeypatch.setattr(sys, "argv", ["mnistae", word])
    main._expand_home()
    assert sys.argv[1] == expected
