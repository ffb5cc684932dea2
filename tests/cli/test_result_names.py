"""Default names of results: different arguments have different names, and plain ones stay legible."""

import pytest

from mnistae.cli.results import default_stem

ARGUMENTS = [
    (["1"], []),
    (["1.png"], []),
    (["train:1"], []),
    (["train_1.png"], []),
    (["digit:3/2"], []),
    (["digit_3_2.png"], []),
    (["a-b.png"], []),
    (["a b.png"], []),
    (["a_b.png"], []),
    (["a.png", "b.png"], []),
    (["a/b.png"], []),
    (["a.b.png"], []),
    (["ab.png"], []),
    (["ab.jpg"], []),
    (["ab.jpg.png"], []),
    (["ab"], []),
    (["ab/"], []),
    (["a*b.png"], []),
    (["五.png"], []),
    (["фото.png"], []),
    (["صورة.png"], []),
    (["😀.png"], []),
    (["😁.png"], []),
    (["é.png"], []),
    (["e\u0301.png"], []),
    (["-"], []),
    (["stdin.png"], []),
    (["1", "lab.png"], []),
    (["1"], ["lab"]),
    (["1"], ["a/lab.safetensors"]),
    (["1"], ["b/lab.safetensors"]),
    (["1", "mask.png"], []),
    (["lab.png"], []),
    (["1", "mask.png"], ["lab"]),
    (["1", "lab.png"], ["mask"]),
    (["1", "2"], []),
    (["x" * 100 + ".png"], []),
    (["x" * 101 + ".png"], []),
    (["\x1b.png"], []),
    (["\n.png"], []),
    (["\udcff.png"], []),
]


def test_different_arguments_have_different_names() -> None:
    """Also on a file system that ignores case; and the same arguments have the same name."""
    stems = [default_stem("denoise", images, options) for images, options in ARGUMENTS]
    assert len({stem.casefold() for stem in stems}) == len(ARGUMENTS)
    assert stems == [default_stem("denoise", images, options) for images, options in ARGUMENTS]


@pytest.mark.parametrize(
    ("images", "stem"),
    [
        (["1", "2"], "reconstruct-1-2"),
        (["digit:3/2", "test:7"], "reconstruct-digit_3_2-test_7"),
        (["photo.png"], "reconstruct-photo"),
        (["photo.jpg"], "reconstruct-photo.jpg"),
        (["5.png"], "reconstruct-5.png"),
        (["фото.png"], "reconstruct-фото"),
        (["-"], "reconstruct-stdin"),
    ],
)
def test_plain_names_are_legible(images: list[str], stem: str) -> None:
    """References and plain file names need no digest."""
    assert default_stem("reconstruct", images) == stem


@pytest.mark.parametrize(
    ("image", "start"), [("my scan.png", "x-my_scan.png-"), ("五 六.png", "x-五_六.png-"), ("😀.png", "x-😀.png-")]
)
def test_other_names_stay_recognisable(image: str, start: str) -> None:
    """A digest follows what can be shown of the name."""
    assert default_stem("x", [image]).startswith(start)
