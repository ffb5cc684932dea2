import random
from collections.abc import Mapping

import numpy as np
import pytest
import safetensors.torch
from forge import MODEL_FILE, SMALL, STATE_FILE, arrays, described, description, head, own_header, passes, state

from mnistae.config import ModelConfig, TrainConfig
from mnistae.records import Array, Description, Epoch
from mnistae.store import format as checkpoint_format


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_model_round_trip() -> None:
    """A model file gives back the same arrays to the bit, of the same types and shapes, and the same description."""
    model = ModelConfig(hidden=16, bottleneck=2)
    tensors, found = checkpoint_format.decode_model(checkpoint_format.encode_model(arrays(model), description(model)))
    assert found == description(model)
    assert same(tensors, arrays(model))


def test_state_round_trip() -> None:
    """A state file gives back weights, moments and a step count without dimensions for each of them, and the history."""
    model = ModelConfig(hidden=16, bottleneck=2)
    before = state(model)
    after, found = checkpoint_format.decode_state(checkpoint_format.encode_state(before, description(model)))
    assert found == description(model)
    assert after.history == before.history
    for part in ("weights", "first_moments", "second_moments", "steps"):
        assert same(getattr(after, part), getattr(before, part))


def same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    def facts(tensors: Mapping[str, Array]) -> dict[str, object]:
        return {name: (array.dtype, array.shape, array.tobytes()) for name, array in tensors.items()}

    return facts(first) == facts(second)


def test_imported_round_trip() -> None:
    """A description of imported weights has no training, no provenance and no history, and comes back as that."""
    imported = Description(SMALL, source="import lab\x1b-\udcff.pth")
    assert checkpoint_format.decode_model(checkpoint_format.encode_model(arrays(), imported))[1] == imported


def test_longest_history() -> None:
    """The history of the longest run, with its longest numbers, is one that the reader takes."""
    history = tuple(Epoch(number, 1 / 3 * 1e-5 / number, 1.2345678901234567e-100) for number in range(1, 10_001))
    long = Description(SMALL, TrainConfig(epochs=10_000), history=history)
    assert checkpoint_format.decode_model(checkpoint_format.encode_model(arrays(), long))[1] == long


def test_same_bytes() -> None:
    """The same run gives the same bytes, in whatever order and layout its arrays lie."""
    other = {name: np.asfortranarray(array) for name, array in reversed(arrays().items())}
    assert checkpoint_format.encode_model(other, description()) == MODEL_FILE
    assert checkpoint_format.encode_state(state(), description()) == STATE_FILE


def test_any_tool_reads_it() -> None:
    """A model file holds the eight tensors under their plain names and one metadata key, so any safetensors reader does."""
    assert {name: tuple(tensor.shape) for name, tensor in safetensors.torch.load(MODEL_FILE).items()} == SMALL.shapes()
    assert own_header()["__metadata__"].keys() == {"mnistae"}


FROZEN = (
    '{"digest":"cdfc44ee54c1eea6752105fcd8ff184853f2a14d0ae8cb8af0b2677b6789dd93","format":1'
    ',"history":[[0.07021,0.001],[0.30000000000000004,0.0001]],"living_units":1,"model":{"bottleneck":1,"hidden":1}'
    ',"provenance":{"data_digest":"d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1","device":"cuda:0","threads":2,"versions":{"mnistae":"0.1","torch":"2.10.0"}}'
    r',"source":"train","training":{"batch_size":2048,"dataset":"ziffern-\u00e4\ud83d\ude42","epochs":2,"learning_rate":0.001'
    ',"recipe":"lab","schedule":"plateau","seed":3,"weight_decay":1e-05}}'
)


def test_frozen_format() -> None:
    """A file as format 1 was first written is read for ever, to the bit."""
    body = np.arange(2357, dtype="<f4") / np.float32(2357)
    tensors, found = checkpoint_format.decode_model(described(FROZEN, body.tobytes()))
    assert found == description()
    assert np.array_equal(np.concatenate([tensors[name].ravel() for name in sorted(tensors)]), body)


def test_every_bit_of_the_header() -> None:
    """No bit of the length and the header can change unseen: not even one that spells the same number anew."""
    assert passes(MODEL_FILE)
    assert b"1e-05" in MODEL_FILE  # 1E-05 is the same number, one bit away
    assert [bit for bit in range(8 * head(MODEL_FILE)) if passes(flipped(MODEL_FILE, bit))] == []


def test_bits_of_the_body() -> None:
    """No bit of the numbers can change unseen."""
    bits = random.Random(0).sample(range(8 * head(MODEL_FILE), 8 * len(MODEL_FILE)), 2000)
    assert [bit for bit in bits if passes(flipped(MODEL_FILE, bit))] == []


def test_bits_of_a_state() -> None:
    """No bit of a state file, moments and steps included, can change unseen."""
    decode = checkpoint_format.decode_state
    assert passes(STATE_FILE, decode)
    bits = random.Random(0).sample(range(8 * len(STATE_FILE)), 800)
    bits += random.Random(1).sample(range(8 * head(STATE_FILE)), 800)
    assert [bit for bit in bits if passes(flipped(STATE_FILE, bit), decode)] == []


def test_bits_of_the_body_sabotage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the digest a flipped bit of the body is loaded as another weight, so the test above is sensitive."""
    monkeypatch.setattr(checkpoint_format, "_digest", lambda _tensors, _fields: "0" * 64)
    data = flipped(checkpoint_format.encode_model(arrays(), description()), 8 * len(MODEL_FILE) - 20)
    assert not same(checkpoint_format.decode_model(data)[0], arrays())


def test_cut_short_or_too_long() -> None:
    """A file that ends early, at any byte of the header and many of the body, or that goes on, is refused."""
    ends = [*range(head(MODEL_FILE) + 1), *range(head(MODEL_FILE), len(MODEL_FILE), 37), len(MODEL_FILE) - 1]
    assert [end for end in ends if passes(MODEL_FILE[:end])] == []
    assert not any(passes(MODEL_FILE + tail) for tail in (b"\0", b" ", b"}", bytes(2**20), MODEL_FILE))


def test_state_is_no_model() -> None:
    """A model file is not taken for a state file, nor the other way round."""
    assert not passes(STATE_FILE)
    assert not passes(MODEL_FILE, checkpoint_format.decode_state)
