"""`interpolate`: closed paths, slerp and GIFs."""

import json

import numpy as np
import pytest
from PIL import Image

from mnistae.tasks import inference
from mnistae.tasks.inference import lerp_points, slerp_points
from tests.conftest import Cli


def test_a_closed_path_ends_where_it_began(cli: Cli, trained: str) -> None:
    """Three images make three segments, and frames that segments share occur once."""
    assert cli("interpolate", 0, 1, 2, "--closed", "-n", 5, "-o", "closed.npy").code == 0
    assert cli("interpolate", 0, 1, 2, 0, "-n", 5, "-o", "open.npy").code == 0
    closed, opened = np.load("closed.npy"), np.load("open.npy")
    assert closed.shape == (12, 28, 28)
    assert (closed == opened[:-1]).all()
    document = json.loads(cli("interpolate", 0, 1, 2, "--closed", "--json").out)
    assert (document["closed"], len(document["codes"]), len(document["images"])) == (True, 3, 3)
    assert cli("interpolate", 0, 1, "--closed").out == "interpolate-0-1-closed.png\n"


def test_a_ping_pong_gif(cli: Cli, trained: str) -> None:
    """The way back leaves out both ends; the duration of a frame follows from --fps, in hundredths of a second."""
    name = cli("interpolate", 0, 1, "-n", 5, "-f", "gif", "--ping-pong", "--fps", 20).out.strip()
    assert name == "interpolate-0-1-steps5-fps20-ping_pong.gif"
    with Image.open(name) as gif:
        assert gif.n_frames == 8  # type: ignore[attr-defined]
        assert gif.info["duration"] == 50
    frames = np.arange(5, dtype=np.float32)[None, :, None]
    assert inference.join_segments(frames, ping_pong=True).ravel().tolist() == [0, 1, 2, 3, 4, 3, 2, 1]


def test_slerp_keeps_the_norm_of_codes() -> None:
    """Between codes of equal norm all points have that norm and equal angles between them."""
    start, end = np.array([3, 0, 0], np.float32), np.array([0, 3, 0], np.float32)
    points = slerp_points(start, end, 5)
    assert np.linalg.norm(points, axis=1) == pytest.approx([3] * 5)
    assert points[2] == pytest.approx([3 / 2**0.5, 3 / 2**0.5, 0])
    cosines = (points[1:] * points[:-1]).sum(axis=1) / 9
    assert cosines == pytest.approx([np.cos(np.pi / 8)] * 4)
    for points in (slerp_points(start, end, 2), lerp_points(start, end, 2)):
        assert points == pytest.approx(np.stack([start, end]), abs=1e-6)


@pytest.mark.parametrize(("start", "end"), [([0, 0], [1, 2]), ([1, 2], [2, 4]), ([1, 2], [1, 2])])
def test_without_an_arc_slerp_is_linear(start: list[float], end: list[float]) -> None:
    """A zero code has no direction, and two parallel codes have no arc between them."""
    first, last = np.array(start, np.float32), np.array(end, np.float32)
    assert (slerp_points(first, last, 4) == lerp_points(first, last, 4)).all()


def test_slerp_differs_from_linear(cli: Cli, trained: str) -> None:
    """The endpoints are equal, the frames between them are not."""
    cli("interpolate", 0, 1, "-o", "straight.npy")
    assert cli("interpolate", 0, 1, "--slerp", "-o", "arc.npy").code == 0
    straight, curved = np.load("straight.npy"), np.load("arc.npy")
    assert np.allclose(straight[[0, -1]], curved[[0, -1]], atol=1e-5)
    assert not np.allclose(straight[1:-1], curved[1:-1], atol=1e-4)
