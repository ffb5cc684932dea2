"""Files of the user that are imported in place of a module of Python or of a library. Needs as few modules as possible."""

import os
import sys
import sysconfig

LIBRARIES = {"filelock", "jinja2", "matplotlib", "numpy", "PIL", "platformdirs", "rich", "safetensors", "scipy", "sklearn"}
LIBRARIES |= {"torch", "torchvision", "typer"}


def find() -> str | None:
    """Return the path of such a file, in a folder of PYTHONPATH or the working directory, or None."""
    own = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    for folder in sys.path:
        if folder.startswith(own) or "-packages" in folder or not os.path.isdir(folder):  # noqa: PTH112
            continue
        for entry in sorted(os.listdir(folder)):  # noqa: PTH208
            name, extension = os.path.splitext(entry)  # noqa: PTH122
            path = os.path.join(folder, entry)  # noqa: PTH118
            is_module = extension == ".py" or os.path.isfile(os.path.join(path, "__init__.py"))  # noqa: PTH113, PTH118
            if is_module and name in sys.stdlib_module_names | LIBRARIES:
                return path
    return None
