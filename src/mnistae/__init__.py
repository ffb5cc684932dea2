"""A toolkit for a small MNIST autoencoder: a command line, and a Python API with the same functions on arrays."""

__version__ = "0.1.0"

__all__ = ["MnistaeError", "Model", "load", "read_dataset", "train"]

TYPE_CHECKING = False  # that of `typing`, which a file of the user may hide

if TYPE_CHECKING:
    from mnistae.api import Model, load, read_dataset, train
    from mnistae.core.errors import MnistaeError
else:

    def __getattr__(name: str) -> object:
        """Import the API on first use: `import mnistae` loads neither NumPy nor torch."""
        if name not in __all__:
            raise AttributeError(f"module 'mnistae' has no attribute '{name}'")
        from mnistae import api
        from mnistae.core import errors

        return getattr(errors if name == "MnistaeError" else api, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
