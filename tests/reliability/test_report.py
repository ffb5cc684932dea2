"""docs/reliability.md: every row has a test, and every failure is shown."""

import re
import sys
from pathlib import Path

import pytest

from tests.reliability import report
from tests.support import client


def test_every_row_has_a_test() -> None:
    """What the tests record are the rows of the page, all of them and no others."""
    sources = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py") if path != Path(__file__))
    recorded = set(re.findall(r'log_result\(\s*"([A-Z0-9]+)"', sources))
    assert recorded == {name for name, row in report.ROWS.items() if not row.elsewhere}


def test_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A test that fails counts in each of its rows though others of the row passed; one without a row is named below.

    A row that made fewer trials than it owes, or lacks its control, says so, and one that has them does not.
    """
    monkeypatch.setattr(client, "LOG", str(log := tmp_path / "log"))
    for row, trials in {"E6": 100, "A1": 1000, "C6": 9999, "D3": 200}.items():
        client.log_result(row, trials=trials)
    client.log_outcome("test_x", client.rows_of("E6 and E8: none of them.", "Row A1."), failed=True, reason="")
    skipped = client.rows_of("A user is another.", "Rows B4 and B7: folders.")
    client.log_outcome("test_y", skipped, failed=False, reason="not root")
    client.log_outcome("test_z", client.rows_of("Nothing.", "Nothing either."), failed=True, reason="")
    monkeypatch.setattr(sys, "argv", ["report.py", str(log), "make campaign", "60"])
    report.main()
    page = capsys.readouterr().out
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in page.splitlines() if line.startswith("| ")}
    assert rows["E6"].endswith("| 100 | 1 | | **failed**: test_x |")
    assert "| 0 | 1 |" in rows["E8"]
    assert rows["A1"].endswith("| 1,000 | 0 | | **no negative control** |")
    assert rows["B4"].endswith("not run: not root |")
    assert "no result" in rows["C1"]
    assert "**of 10,000 trials**" in rows["C6"]
    assert "**" not in rows["D3"]
    assert "- **failed**: test_z" in page
