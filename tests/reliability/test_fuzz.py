"""Row C5: the readers of foreign bytes under coverage-guided fuzzing, and what it has found, replayed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability import fuzz
from tests.support.client import LONG, ROOT, log_result, trials
from tests.support.resource_limits import Costs

CORPUS = Path(__file__).parent / "corpus"
SECONDS = trials(0, 60)


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_corpus(reader: str) -> None:
    """C5: whatever fuzzing has found to reach a new line of a reader still ends in its error or in a sound result."""
    costs, files = Costs(), sorted((CORPUS / reader).iterdir())
    assert len(files) > 30
    for path in files:
        costs.of(fuzz.READERS[reader], path.read_bytes())
    assert costs.are_low, str(costs)
    log_result("C5", trials=len(files), note=f"{reader}: {len(files)} kept inputs, {costs}")


def test_corpus_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """C5: a reader that lets a foreign error through is seen in the same corpus."""
    from mnistae.store import format as checkpoint_format

    monkeypatch.setattr(checkpoint_format, "_check_schema", lambda _header, _schema: None)
    seen = 0
    for path in (CORPUS / "checkpoint").iterdir():
        try:
            fuzz.checkpoint(path.read_bytes())
        except (KeyError, AssertionError):
            seen += 1
    assert seen > 0
    log_result("C5", trials=0, control=f"tensors not compared with the schema: detected by {seen} inputs of the corpus")


@pytest.mark.skipif(not LONG, reason="coverage-guided fuzzing is part of the campaign")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("reader", fuzz.READERS)
def test_fuzzing(reader: str, tmp_path: Path) -> None:
    """C5: minutes of coverage-guided fuzzing bring nothing out of a reader but its error."""
    pytest.importorskip("atheris", reason="atheris is not installed: pip install --group fuzz")
    command = [sys.executable, "-m", "tests.reliability.fuzz", reader, str(SECONDS), str(tmp_path), str(CORPUS / reader)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS + 300, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    runs = re.search(r"stat::number_of_executed_units:\s*([0-9]+)", done.stderr)
    assert runs is not None
    log_result("C5", trials=int(runs[1]), note=f"{reader}: {SECONDS} s of atheris")
