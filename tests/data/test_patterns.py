"""Folders and patterns: the image files that they match, in natural order."""

from pathlib import Path

import pytest

from mnistae.core.errors import DataError
from mnistae.data import patterns, references


def put(*names: str) -> None:
    """Create empty files."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_a_folder_matches_its_images_in_natural_order() -> None:
    """Numbers are ordered by their size, letters whatever their case; other files are counted, subfolders ignored."""
    names = ["s/1.png", "s/2.pgm", "s/10.BMP", "s/a.jpg", "s/A2.webp", "s/a02.png", "s/a10.tiff", "s/b.ppm"]
    put(*names, "s/notes.txt", "s/below.png/a.png")
    assert patterns.find("s") == (names, "1 .txt")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("s/*.png", ["s/a1.png", "s/a2.png", "s/a10.png"]),
        ("./s/a?.png", ["./s/a1.png", "./s/a2.png"]),
        ("s/a[2-9].*", ["s/a2.pgm", "s/a2.png"]),
        ("s/*", ["s/a1.png", "s/a2.pgm", "s/a2.png", "s/a10.png", "s/noname"]),
        ("**/a1.png", ["r/a1.png", "s/a1.png"]),
        ("s/.*", ["s/.a.png"]),
        ("{here}/s/a2.p?m", ["{here}/s/a2.pgm"]),
    ],
)
def test_a_pattern_means_what_it_does_in_a_shell(pattern: str, expected: list[str]) -> None:
    """A pattern is expanded to the files that a shell would give, whatever their suffix, except those of the system."""
    put("s/a1.png", "s/a2.png", "s/a10.png", "s/a2.pgm", "s/noname", "s/.a.png", "r/a1.png", "s/z.d/a1.png")
    put("s/Thumbs.db", "__MACOSX/a1.png")
    here = str(Path.cwd())
    assert patterns.find(pattern.format(here=here)) == ([name.format(here=here) for name in expected], "")


SUFFIXES = ".avif, .bmp, .gif, .jpeg, .jpg, .pgm, .png, .pnm, .ppm, .tif, .tiff, .webp"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("empty", "no images in 'empty'", f"looked for {SUFFIXES}, not in subfolders"),
        ("other", "no images in 'other'", f"found 2 .heic, 1 without suffix; looked for {SUFFIXES}, not in subfolders"),
        ("empty/*.png", "no files match 'empty/*.png'", "give existing files, or a folder of images"),
        ("full/*", "'full/*' matches more than 3 files", "split the input, e.g. 'scans/1*.png'"),
    ],
)
def test_nothing_or_too_much(monkeypatch: pytest.MonkeyPatch, text: str, message: str, hint: str) -> None:
    """A folder or a pattern that matches no file, or too many, is one failure under its own name."""
    monkeypatch.setattr(patterns, "MAX_FILES", 3)
    Path("empty").mkdir()
    put("other/a.heic", "other/b.heic", "other/README", *(f"full/{k}.png" for k in range(4)))
    with pytest.raises(DataError) as caught:
        patterns.find(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("s", "s/new.png", True),
        ("s", "s/new.svg", False),
        ("s", "s/.new.png", False),
        ("s", "new.png", False),
        ("s/*.png", "./s/new.png", True),
        ("*/*", "s/new.gif", True),
        ("*/*", "new.gif", False),
        ("s/*.png", "s/new.jpg", False),
        ("*.png", "nowhere/new.png", False),
        ("s/a.png", "s/a.png", False),
        ("5", "5/new.png", False),
    ],
)
def test_matches_of_a_pattern(text: str, path: str, expected: bool) -> None:
    """It is known whether a file would match a reference to several, before it is there."""
    put("s/a.png", "5/a.png")
    Path("dangling").symlink_to("nothing")
    assert references.matches(references.parse(text), Path(path)) is expected
