"""CUDA graph of a training step: captured once and replayed, so that the CPU launches one graph instead of fifty kernels."""

import gc
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[], Tensor]

AUTO_REGISTER_VERSION = "2.14"
"""From this torch version on, graphs register generators themselves and warn if it is done again (pytorch/pytorch#176753)."""


def cuda_graph(step: Step, generator: torch.Generator) -> Step:
    """Capture a step on the generator's CUDA device without running it; return a function that replays it.

    A replay draws new numbers, from the seed that the generator has at that time.
    """
    gc.collect()  # the graph of an earlier run must not be destroyed during this capture
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(generator.device):
        if torch.__version__ < AUTO_REGISTER_VERSION:
            graph.register_generator_state(generator)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            result = step()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


class CapturedStep:
    """A function of row numbers (B,) and scalars, captured at its second call and replayed from then on.

    A graph repeats the captured kernels on the same memory. Whatever differs between two calls is therefore an argument with a
    tensor of its own, scalars as float32 (); the function must not read any of them back to the CPU. Each B has its own graph.
    The tensor that a call returns is overwritten by the next call with the same B.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        generator: torch.Generator,
        capture: Callable[[Step, torch.Generator], Step] = cuda_graph,
    ) -> None:
        """Take the function and the generator it draws from; `capture` turns a step into its replay."""
        self._function, self._generator, self._capture = function, generator, capture
        self._arguments: dict[int, list[Tensor]] = {}
        self._replays: dict[int, Step] = {}

    def __call__(self, rows: Tensor, *numbers: float) -> Tensor:
        """Return the result of the function for these arguments."""
        size = len(rows)
        is_first = size not in self._arguments
        if is_first:
            self._arguments[size] = [torch.empty_like(rows), *(rows.new_empty((), dtype=torch.float32) for _ in numbers)]
        arguments = self._arguments[size]
        arguments[0].copy_(rows)
        for argument, number in zip(arguments[1:], numbers, strict=True):
            argument.fill_(number)
        if is_first:  # not captured: libraries initialise at their first use, which a capture forbids
            return self._function(*arguments)
        if size not in self._replays:
            self._replays[size] = self._capture(lambda: self._function(*arguments), self._generator)
        return self._replays[size]()
