"""docs/reliability.md: every row has a test, and every failure is shown."""

import re
import sys
from pathlib import Path

import pytest

from tests.reliability import report
from tests.support import client

HERE = Path(__file__).parent


def page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path) -> dict[str, str]:
    """Return the page's lines by their rows; what is no row is under the empty name."""
    monkeypatch.setattr(sys, "argv", ["report.py", str(log), "make campaign", "60"])
    report.main()
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    return rows | {"": "\n".join(line for line in lines if not line.startswith("|"))}


def test_every_row_has_a_test() -> None:
    """What the tests record are the rows of the page, all of them and no others."""
    sources = "".join(path.read_text() for path in HERE.parent.rglob("test_*.py") if path != Path(__file__))
    recorded = set(re.findall(r'log_result\(\s*"([A-Z0-9]+)"', sources))
    assert recorded == {name for name, row in report.ROWS.items() if not row.elsewhere}


def test_failures_are_on_the_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A test that fails counts in each of its rows though others of the row passed; one without a row is named below."""
    monkeypatch.setattr(client, "LOG", str(log := tmp_path / "log"))
    client.log_result("E6", trials=100)
    client.log_result("A1", trials=1000)
    client.log_outcome("test_x", client.rows_of("E6 and E8: none of them.", "Row A1."), failed=True, reason="")
    client.log_outcome(
        "test_y", client.rows_of("A user is another.", "Rows B4 and B7: folders."), failed=False, reason="not root"
    )
    client.log_outcome("test_z", client.rows_of("Nothing.", "Nothing either."), failed=True, reason="")
    found = page(monkeypatch, capsys, log)
    assert found["E6"].endswith("| 100 | 1 | | **failed**: test_x |")
    assert "| 0 | 1 |" in found["E8"]
    assert found["A1"].endswith("| 1,000 | 0 | | **no negative control** |")
    assert found["B4"].endswith("not run: not root |")
    assert "no result" in found["C1"]
    assert "- **failed**: test_z" in found[""]


def test_too_few_trials_are_on_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A row that made fewer trials than it owes says so, and one that made them does not."""
    monkeypatch.setattr(client, "LOG", str(log := tmp_path / "log"))
    client.log_result("C6", trials=9999)
    client.log_result("D3", trials=200)
    found = page(monkeypatch, capsys, log)
    assert "**of 10,000 trials**" in found["C6"]
    assert "**" not in found["D3"]
