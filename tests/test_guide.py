"""The guide's commands and pictures are those that `make pictures` makes."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
GUIDE, README = (path.read_text("utf-8") for path in (DOCS / "guide.md", DOCS.parent / "README.md"))
COMMANDS = re.findall("^mnistae .*", (DOCS / "pictures.sh").read_text("utf-8"), re.MULTILINE)


def test_a_picture_is_made_by_the_command_above_it() -> None:
    """The commands that stand above the guide's pictures are those of docs/pictures.sh, in their order."""
    found = re.findall(r"^(mnistae [^\n]*)$(?:(?!^mnistae ).)*?\]\(pictures/(?!photo\.jpg)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found == COMMANDS


def test_no_picture_is_missing_and_none_is_left_over() -> None:
    """The pages show the pictures that are there, each of them once made by one command."""
    shown = {Path(path).name for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", GUIDE + README)}
    assert shown == {path.name for path in (DOCS / "pictures").iterdir()}
    assert len(shown - {"photo.jpg"}) == len(COMMANDS)


@pytest.mark.parametrize("page", [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"], ids=lambda page: page.name)
def test_links_between_the_pages_hold(page: Path) -> None:
    """Whatever a page links in the project is there, down to the heading."""
    for link, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
        assert "://" in link or (page.parent / link).exists(), link
        if heading and "://" not in link:
            titles = re.findall("^#+ (.*)", (page.parent / link if link else page).read_text("utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, heading
