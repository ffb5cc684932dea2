import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pytest
import safetensors.torch

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.records import EpochRecord, Metadata, UnitRange
from mnistae.store import format as checkpoint_format
from tests.support.checkpoint_bytes import MODEL_FILE, SMALL, STATE_FILE, arrays, head, metadata, own_header, passes, state
from tests.support.client import log_result, trials
from tests.support.resource_limits import Costs

Decode = Callable[[bytes], object]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    def facts(tensors: Mapping[str, Array]) -> dict[str, object]:
        return {name: (array.dtype, array.shape, array.tobytes()) for name, array in tensors.items()}

    return facts(first) == facts(second)


WIDE = ModelConfig(hidden=1, bottleneck=392)
HISTORY = tuple(EpochRecord(number, 1 / 3 * 1e-5 / number, 1.2345678901234567e-100) for number in range(1, 10_001))
RANGES = tuple(UnitRange(1.23456e-38, 1.23456e38) for _ in range(392))


@pytest.mark.parametrize(
    "before",
    [
        metadata(ModelConfig(hidden=16, bottleneck=2)),
        Metadata(SMALL, source="import lab\x1b-\udcff.pth"),
        dataclasses.replace(metadata(), unit_ranges=(UnitRange(0.0, 31.25),)),
        Metadata(WIDE, TrainConfig(epochs=10_000), history=HISTORY, active_units=392, unit_ranges=RANGES),
    ],
    ids=["trained", "imported", "with unit ranges", "longest"],
)
def test_model_round_trip(before: Metadata) -> None:
    """A model file gives back the same arrays to the bit and the same metadata, also at the greatest length."""
    weights = arrays(before.model)
    tensors, found = checkpoint_format.decode_model(checkpoint_format.encode_model(weights, before))
    assert found == before
    assert same(tensors, weights)


def test_state_round_trip() -> None:
    """A state file gives back weights, moments and a step count without dimensions for each of them, and the history."""
    model = ModelConfig(hidden=16, bottleneck=2)
    before = state(model)
    after, found = checkpoint_format.decode_state(checkpoint_format.encode_state(before, metadata(model)))
    assert (found, after.history) == (metadata(model), before.history)
    for part in ("weights", "first_moments", "second_moments", "steps"):
        assert same(getattr(after, part), getattr(before, part))


def test_same_bytes() -> None:
    """The same run gives the same bytes, regardless of the order and memory layout of its arrays."""
    other = {name: np.asfortranarray(array) for name, array in reversed(arrays().items())}
    assert checkpoint_format.encode_model(other, metadata()) == MODEL_FILE
    assert checkpoint_format.encode_state(state(), metadata()) == STATE_FILE


def test_any_tool_reads_it() -> None:
    """A model file holds the eight tensors under their plain names and one metadata key; any safetensors reader can load it."""
    assert {name: tuple(tensor.shape) for name, tensor in safetensors.torch.load(MODEL_FILE).items()} == SMALL.shapes()
    assert own_header()["__metadata__"].keys() == {"mnistae"}


def taken(data: bytes, bits: Iterable[int], decode: Decode, costs: Costs) -> list[int]:
    """Return those of the bits whose flip the reader does not see."""
    return [bit for bit in bits if costs.of(passes, flipped(data, bit), decode)]


STEP = trials(13, 1)
"""The quick set flips every thirteenth bit, so that all bits of a byte occur."""


def test_every_bit_of_the_header() -> None:
    """C1: every flipped bit of the length and the header is detected, even one that only changes the spelling of a number."""
    costs, state_bits = Costs(), range(8 * head(STATE_FILE))
    assert passes(MODEL_FILE)
    assert passes(STATE_FILE, checkpoint_format.decode_state)
    assert not passes(STATE_FILE)
    assert not passes(MODEL_FILE, checkpoint_format.decode_state)
    exponent = 8 * (MODEL_FILE.index(b"1e-05") + 1) + 5  # 1E-05 is the same number, one bit away
    bits = [*range(0, 8 * head(MODEL_FILE), STEP), exponent]
    assert taken(MODEL_FILE, bits, checkpoint_format.decode_model, costs) == []
    sample = random.Random(0).sample(state_bits, trials(250, len(state_bits)))
    assert taken(STATE_FILE, sample, checkpoint_format.decode_state, costs) == []
    assert costs.are_low, str(costs)
    log_result("C1", trials=costs.calls, note=f"{len(bits):,} of a model's, {len(sample):,} of a state's; {costs}")


def test_every_bit_of_the_header_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """C1: without the digest many a flipped bit of the metadata is taken, so the test above is sensitive."""
    monkeypatch.setattr(checkpoint_format, "_digest", lambda _tensors, _fields: "0" * 64)
    data = checkpoint_format.encode_model(arrays(), metadata())
    bits = range(0, 8 * head(data), STEP)
    seen = taken(data, bits, checkpoint_format.decode_model, Costs())
    assert len(seen) > 50
    log_result("C1", trials=0, control=f"digest not compared: {len(seen):,} of {len(bits):,} flips accepted")


LAB_FILE = checkpoint_format.encode_model(arrays(ModelConfig()), metadata(ModelConfig()))


@pytest.mark.parametrize(
    ("data", "decode", "quick", "long"),
    [
        (MODEL_FILE, checkpoint_format.decode_model, 250, 10_000),
        (LAB_FILE, checkpoint_format.decode_model, 25, 200),
        (STATE_FILE, checkpoint_format.decode_state, 100, 10_000),
    ],
    ids=["small", "lab", "state"],
)
def test_bits_of_the_body(data: bytes, decode: Decode, quick: int, long: int) -> None:
    """C3: every flipped bit of the weights, and of a state's moments and steps, is detected."""
    costs = Costs()
    bits = random.Random(0).sample(range(8 * head(data), 8 * len(data)), trials(quick, long))
    assert taken(data, bits, decode, costs) == []
    assert costs.are_low, str(costs)
    log_result("C3", trials=len(bits), note=f"{len(data):,} bytes: {costs}")


def test_bits_of_the_body_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """C3: without the digest a flipped bit of the body is loaded as another weight, so the tests above are sensitive."""
    monkeypatch.setattr(checkpoint_format, "_digest", lambda _tensors, _fields: "0" * 64)
    data = checkpoint_format.encode_model(arrays(), metadata())
    assert not same(checkpoint_format.decode_model(flipped(data, 8 * len(data) - 20))[0], arrays())
    bits = random.Random(0).sample(range(8 * head(data), 8 * len(data)), trials(100, 200))
    seen = len(taken(data, bits, checkpoint_format.decode_model, Costs()))
    assert seen > 0.9 * len(bits)  # the others make a number infinite
    log_result("C3", trials=0, control=f"digest not compared: {seen} of {len(bits)} flips accepted")


def test_cut_short_or_too_long() -> None:
    """C2: a file that ends early, at bytes all over the header and the body, or has trailing bytes, is refused."""
    costs, cuts = Costs(), 0
    for data, decode in ((MODEL_FILE, checkpoint_format.decode_model), (STATE_FILE, checkpoint_format.decode_state)):
        body = range(head(data), len(data))
        ends = [*range(0, head(data), STEP), *random.Random(0).sample(body, trials(100, 1000)), *range(0, len(data), 4096)]
        assert [end for end in (*ends, len(data) - 1) if costs.of(passes, data[:end], decode)] == []
        tails = (b"\0", b" ", b"}", bytes(2**20), data)
        assert not any(costs.of(passes, data + tail, decode) for tail in tails)
        cuts += len(ends) + len(tails)
    assert costs.are_low, str(costs)
    log_result("C2", trials=cuts, note=f"{costs}")
