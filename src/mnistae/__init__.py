"""The toolkit for the four-layer MLP autoencoder of the MNIST course lab: a command line, and the same work on arrays."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["Model", "load", "read_dataset", "train"]

if TYPE_CHECKING:
    from mnistae.api import Model, load, read_dataset, train
else:

    def __getattr__(name: str) -> object:
        """Import the interface when somebody asks for it: the package itself comes without NumPy and torch."""
        if name not in __all__:
            raise AttributeError(f"module 'mnistae' has no attribute '{name}'")
        from mnistae import api

        return getattr(api, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
