"""How a checkpoint was trained: as the rows of a table and as JSON."""

import dataclasses
from typing import Any

from mnistae.core.records import Metadata


def rows(metadata: Metadata) -> list[tuple[str, str]]:
    """Return the origin of a checkpoint as names and values."""
    found = [("source", metadata.source)]
    if metadata.training:
        found += [
            (key.replace("_", " "), ("no", "yes")[value] if isinstance(value, bool) else str(value))
            for key, value in dataclasses.asdict(metadata.training).items()
        ]
    if metadata.history:
        found += [("epochs done", str(len(metadata.history))), ("last loss", f"{metadata.history[-1].loss:.5f}")]
    if metadata.active_units is not None:
        found.append(("active units", f"{metadata.active_units} of {metadata.model.bottleneck}"))
    if provenance := metadata.provenance:
        found += [("device", provenance.device), ("threads", str(provenance.threads))]
        found += [("instruction set" if k == "cpu" else f"{k} version", value) for k, value in provenance.versions.items()]
        found.append(("data digest", provenance.data_digest))
    return found


def document(metadata: Metadata) -> dict[str, Any]:
    """Return the origin of a checkpoint for a JSON document."""
    training, provenance, ranges = metadata.training, metadata.provenance, metadata.unit_ranges
    return {
        "source": metadata.source,
        "settings": dataclasses.asdict(training) if training else None,
        "provenance": dataclasses.asdict(provenance) if provenance else None,
        "active_units": metadata.active_units,
        "unit_ranges": [[unit.low, unit.high] for unit in ranges] if ranges else None,
        "history": [dataclasses.asdict(epoch) for epoch in metadata.history],
    }
