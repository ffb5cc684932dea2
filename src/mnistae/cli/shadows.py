"""Files of the user that are imported in place of a module of Python or of a library. Needs as few modules as possible."""

import os
import sys
import sysconfig


def find() -> str | None:
    """Return the path of such a file, in a folder of PYTHONPATH or the working directory, or None."""
    own = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    folders = [folder for folder in sys.path if os.path.isdir(folder)]  # noqa: PTH112
    installed = [folder for folder in folders if folder.startswith(own) or "-packages" in folder]
    libraries = {entry.partition(".")[0] for folder in installed for entry in os.listdir(folder)}  # noqa: PTH208
    for folder in [folder for folder in folders if folder not in installed]:
        for entry in sorted(os.listdir(folder)):  # noqa: PTH208
            name, extension = os.path.splitext(entry)  # noqa: PTH122
            path = os.path.join(folder, entry)  # noqa: PTH118
            is_module = extension == ".py" or os.path.isfile(os.path.join(path, "__init__.py"))  # noqa: PTH113, PTH118
            if is_module and name in sys.stdlib_module_names | libraries:
                return path
    return None
