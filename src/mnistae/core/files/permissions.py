"""Which file or folder denies access, and whose it is."""

import os
from pathlib import Path


def hint(path: Path, otherwise: str, *, is_write: bool = False) -> str:
    """Return whose file denies reading `path`, or writing, removing or creating it; `otherwise` if it is the user's own."""
    place = next(place for place in (path, *path.parents) if os.path.lexists(place))  # the last one that may be looked at
    if is_write and place.parent != place and os.access(place, os.W_OK):
        place = place.parent
    try:
        owner, is_own = place.owner(), place.stat().st_uid == os.geteuid()
    except (OSError, KeyError, NotImplementedError):  # KeyError: a user without a name; NotImplementedError: Windows
        return otherwise
    if is_own:
        return otherwise
    return f"'{place}' belongs to user '{owner}': ask for permission, or change its owner with 'sudo chown -R'"
