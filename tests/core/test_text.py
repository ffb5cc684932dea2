import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistae.core import text

ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # surrogates too


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        ("Grüße 漢字 🙂", "Grüße 漢字 🙂"),
        (7, "7"),
        ("\x1b]52;c;ZXZpbA==\x07 \x9b31m \r\n\t\x00\x7f", r"\x1b]52;c;ZXZpbA==\x07 \x9b31m \r\n\t\x00\x7f"),
        ("exe.\u202egnp\u2066x\u2069", r"exe.\u202egnp\u2066x\u2069"),  # bidirectional overrides
        ("a\u200bb\ufeffc\xad \u2028\u2029\xa0", r"a\u200bb\ufeffc\xad \u2028\u2029\xa0"),  # zero width, separators
        ("\udcff\ud800 \U000e0041\U0010ffff", r"\udcff\ud800 \U000e0041\U0010ffff"),  # no UTF-8, tags, private use
        ("[red]x[/] [link=file:///etc]", "[red]x[/] [link=file:///etc]"),  # rich's markup is data
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("\x1b" * 51, r"\x1b" * 49 + r"\x1" "…"),
    ],
)
def test_safe_text(foreign: object, expected: str) -> None:
    """What could steer a terminal is escaped, all else stays, and 200 characters are the most."""
    assert text.safe_text(foreign) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["reconstruct", "digit:3/12", "test:7"], "reconstruct-digit_3_12-test_7"),
        (["a", "..", ".", ""], "a-x-x-x"),
        (["五", "фото", "صورة", "😀", "हिन्दी"], "五-фото-صورة-😀-हिन्दी"),
        (["五" * 27], "五" * 26 + "-" + "9b8712bb"),
        (["a", "../.hidden.", "b c\x1b\n"], "a-hidden-b_c"),
        (["x" * 81], "x" * 80 + "-4d1f7bb8"),
        (["x" * 40] * 2 + ["y"], "x" * 40 + "-" + "x" * 39 + "-5f5e7697"),
    ],
)
def test_file_stem(words: list[str], expected: str) -> None:
    """A stem is made of the words' letters, digits, symbols and dots, with _ for the rest; a long one ends with a digest."""
    assert text.slug(words) == expected


@given(st.lists(ANY_TEXT, min_size=1))
def test_file_stem_names_a_file_here(words: list[str]) -> None:
    """Whatever the words, their stem is a plain file name, not hidden, and the same each time."""
    stem = text.slug(words)
    assert re.fullmatch(r"[^./\\\s][^/\\\s]{0,88}", stem)
    assert stem.isprintable()
    assert len(stem.encode()) <= 89
    assert text.slug(words) == stem


def test_long_stems_differ() -> None:
    """Long lists that differ only in their last word, or in where a word ends, do not share a name."""
    words = ["interpolate", *map(str, range(100))]
    assert len({text.slug(other) for other in (words, [*words, "a"], [*words, "\ud800"], [*words[:-2], "9899"])}) == 4
