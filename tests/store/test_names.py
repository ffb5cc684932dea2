import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.core.config import RECIPES, ModelConfig, Precision, TrainConfig
from mnistae.core.errors import UsageError
from mnistae.store import names

HINT = "use up to 64 letters, digits, dots, dashes and underscores; start with a letter or digit"
RESERVED, ENDING = "Windows reserves this name: choose another", "do not end it in a dot or in .safetensors"

GOOD = ["0", "Lab_2.1-x", "a..b", "a-", "x" * 64, "recent", "console", "lpt10", "model.safetensors.old", "safetensors"]
WINDOWS = ("CON", "con", "Prn", "AUX", "nul", "COM1", "com0", "LPT9", "con.txt", "NUL.a.b", "aux.")
BAD = [
    *("", " ", ".", "..", ".hidden", "-rf", "_a", "~root", "a b", "a/b", "../up", "a\\b", "C:x", "a.", "x" * 65),
    *("a\n", "a\0", "\x1b[2J", "a*", "$HOME", "%00", "ä", "\u0661", "a\u202eb", "a\udcff"),
    *WINDOWS,
    "lab.safetensors",  # would be read as a path
]


@pytest.mark.parametrize(("name", "is_good"), [*((name, True) for name in GOOD), *((name, False) for name in BAD)], ids=ascii)
def test_table(name: str, is_good: bool) -> None:
    """A name is plain ASCII that every file system takes and nothing takes for a path; others are refused, never repaired."""
    assert names.is_valid(name) is is_good
    if is_good:
        assert names.check(name) == name
        return
    with pytest.raises(UsageError) as failure:
        names.check(name)
    assert failure.value.message == f"invalid run name: '{name}'"
    is_ending = name in {"a.", "lab.safetensors"}
    assert failure.value.hint == (RESERVED if name in WINDOWS else ENDING if is_ending else HINT)


@pytest.mark.parametrize(
    ("model", "config", "dataset", "expected"),
    [
        (ModelConfig(), TrainConfig(), "mnist", "lab-mnist-seed0"),
        (ModelConfig(), TrainConfig(epochs=3), "mnist", "lab-mnist-seed0"),
        (ModelConfig(), dataclasses.replace(RECIPES["fast"], epochs=3), "mnist", "fast-mnist-e3-seed0"),
        (ModelConfig(), TrainConfig(precision=Precision.BF16), "mnist", "lab-mnist-bf16-seed0"),
        (ModelConfig(bottleneck=2), TrainConfig(seed=7), "fashion-mnist", "lab-fashion-mnist-z2-seed7"),
        (
            ModelConfig(hidden=16, bottleneck=4),
            TrainConfig(batch_size=64, learning_rate=5e-4, weight_decay=0.0),
            "glyphs",
            "lab-glyphs-h16-z4-b64-lr0.0005-wd0-seed0",
        ),
        (ModelConfig(), TrainConfig(learning_rate=1e20), "mnist", "lab-mnist-lr1e20-seed0"),
        (ModelConfig(), TrainConfig(learning_rate=2.0), "mnist", "lab-mnist-lr2-seed0"),
        (ModelConfig(), TrainConfig(), "My Digits", "lab-MyDigits-seed0-522a0a90"),
        (ModelConfig(), TrainConfig(), "x" * 60, f"lab-{'x' * 51}-1cb093a4"),
    ],
)
def test_default(model: ModelConfig, config: TrainConfig, dataset: str, expected: str) -> None:
    """The name without --name says what differs from the recipe, and is one that the store takes."""
    assert names.default(model, config, dataset=dataset) == expected
    assert names.is_valid(expected)


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=[])), st.floats(1e-300, 1e300), st.floats(0, 1e300), st.integers(0, 2**32 - 1))
def test_default_is_valid(dataset: str, rate: float, decay: float, seed: int) -> None:
    """Whatever the settings and the folder's name, the default is a valid name, and another seed has another one."""
    model = ModelConfig(hidden=2048, bottleneck=392)
    first, second = (
        TrainConfig(learning_rate=rate, weight_decay=decay, batch_size=65_536, seed=other)
        for other in (seed, (seed + 1) % 2**32)
    )
    assert names.is_valid(names.default(model, first, dataset=dataset))
    assert names.default(model, first, dataset=dataset) != names.default(model, second, dataset=dataset)
