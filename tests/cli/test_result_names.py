"""Default names of results: different arguments have different names, and plain ones stay legible."""

import pytest

from mnistae.cli.results import default_stem

NAMES = [
    *("1", "1.png", "train:1", "train_1.png", "digit:3/2", "digit_3_2.png", "a-b.png", "a_b.png", "a/b.png", "a.b.png"),
    *("ab.png", "ab.jpg", "ab.jpg.png", "ab", "ab/", "a*b.png", "五.png", "фото.png", "صورة.png", "😀.png", "😁.png", "é.png"),
    *("-", "stdin.png", "lab.png", "a b.png", "e\u0301.png", "x" * 100 + ".png", "x" * 101 + ".png", "\x1b.png", "\n.png"),
    "\udcff.png",
]
ARGUMENTS: list[tuple[list[str], list[str]]] = [
    *(([name], []) for name in NAMES),
    *((images.split(), []) for images in ("a.png b.png", "1 lab.png", "1 mask.png", "1 2")),
    *((["1"], [option]) for option in ("2", "lab", "a/lab.safetensors", "b/lab.safetensors")),
    (["1", "mask.png"], ["lab"]),
    (["1", "lab.png"], ["mask"]),
]


def test_different_arguments_have_different_names() -> None:
    """Also on a file system that ignores case."""
    stems = {default_stem("denoise", images, options).casefold() for images, options in ARGUMENTS}
    assert len(stems) == len(ARGUMENTS)


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
        (["my scan.png"], "reconstruct-my_scan.png-*"),
        (["五 六.png"], "reconstruct-五_六.png-*"),
        (["😀.png"], "reconstruct-😀.png-*"),
    ],
)
def test_names_are_legible(images: list[str], stem: str) -> None:
    """References and plain file names need no digest; of others it follows what can be shown."""
    found = default_stem("reconstruct", images)
    assert found.startswith(stem.removesuffix("*"))
    assert (found == stem) is not stem.endswith("*")
