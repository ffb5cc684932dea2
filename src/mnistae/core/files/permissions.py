"""Which file or folder denies access, and who owns it."""

import os
import sys
from pathlib import Path


def is_denied(path: str | Path) -> bool:
    """Whether this user may not read what there is under this name, or may not see whether there is anything."""
    try:
        os.close(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)))
    except (OSError, ValueError) as error:
        return isinstance(error, PermissionError)
    return False


def hint(path: str | Path, otherwise: str, *, is_write: bool = False) -> str:
    """Return whose file denies reading `path`, or writing, removing or creating it; `otherwise` if it is the user's own."""
    path = Path(path).absolute()
    place = next(place for place in (path, *path.parents) if os.path.lexists(place))  # the last one that may be looked at
    if is_write and place.parent != place and os.access(place, os.W_OK):
        place = place.parent
    user = place.lstat().st_uid
    if sys.platform != "win32" and user != os.geteuid():
        try:
            owner = place.owner()
        except (OSError, KeyError):  # a user without a name
            owner = str(user)
        return f"'{place}' belongs to user '{owner}': ask for permission, or change its owner with 'sudo chown -R'"
    return otherwise
