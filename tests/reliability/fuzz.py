"""Coverage-guided fuzzing of the readers of foreign bytes.

    python fuzz.py checkpoint|image SECONDS FOLDER...

It needs the group `fuzz` (atheris) and ends with 0 if nothing but the expected error came out of a reader. What is found to
reach new code is kept in the first of the folders. Not a test by itself: test_fuzz.py runs it in the campaign, and replays the
corpus that it made in every run of the tests.
"""

import io
import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PNG = b"\x89PNG\r\n\x1a\n"


def main() -> int:
    """Fuzz for the given time."""
    import atheris

    name, seconds, *folders = sys.argv[1:]
    with atheris.instrument_imports(include=["mnistae", "PIL"]):
        from PIL import Image

        Image.init()  # it imports its readers late
        read = READERS[name]
        read(b"")
    limits = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=1024", "-max_len=4096", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, *folders], read)
    atheris.Fuzz()
    return 0


def checkpoint(data: bytes) -> None:
    """Read bytes as a checkpoint, as the header of one, and as metadata of a right digest.

    Whatever is not a CheckpointError gets out.
    """
    from mnistae.core.errors import CheckpointError
    from mnistae.store import format as checkpoint_format

    for whole in (data, struct.pack("<Q", len(data)) + data + bytes(64), *as_metadata(data)):
        for decode in (checkpoint_format.decode_model, checkpoint_format.decode_state):
            try:
                decode(whole)
            except CheckpointError as error:
                check_words(error.message, error.hint)


def as_metadata(data: bytes) -> list[bytes]:
    """Return the file whose metadata has these fields, if they are fields."""
    from tests.support.checkpoint_bytes import forged

    try:
        fields = json.loads(data)
        return [forged(**fields)] if isinstance(fields, dict) and "digest" not in fields else []
    except (ValueError, RecursionError):  # no JSON, or NaN
        return []


def image(data: bytes) -> None:
    """Read bytes as an image, with the check sums of a PNG made right. Whatever is neither digits nor a DataError gets out."""
    from mnistae.core.errors import DataError
    from mnistae.data.images import decode

    for whole in (data, with_sums(data)) if data.startswith(PNG) else (data,):
        for raw in (False, True):
            try:
                for images, _, _ in decode.read_stream(io.BytesIO(whole), name="x", raw=raw):
                    assert images.shape[1:] == (28, 28)
                    assert images.min() >= 0
                    assert images.max() <= 1
            except DataError as error:
                check_words(error.message, error.hint)


def check_words(message: str, hint: str) -> None:
    """An error is one short line for a terminal, and says what to do next."""
    assert hint
    assert len(message) <= 400


def with_sums(data: bytes) -> bytes:
    """Make the check sums of a PNG right, so that damage gets past them."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        parts.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))
        at += 12 + length
    return b"".join(parts)


READERS: dict[str, Callable[[bytes], object]] = {"checkpoint": checkpoint, "image": image}

if __name__ == "__main__":
    sys.exit(main())
