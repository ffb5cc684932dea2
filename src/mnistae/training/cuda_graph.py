"""A training step on a GPU, captured once and replayed: the CPU launches one graph, not some fifty kernels in a row."""

import gc
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[], Tensor]

AUTO_REGISTER_VERSION = "2.14"
"""The torch from which a graph takes up the generators it meets, and warns of being told (pytorch/pytorch#176753)."""


def cuda_graph(work: Step, chance: torch.Generator) -> Step:
    """Capture work on the generator's CUDA device without doing it; return what does it.

    A replay draws anew, from whatever seed the generator has been given since.
    """
    gc.collect()  # the graph of an earlier run must not come to its end within this capture
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(chance.device):
        if torch.__version__ < AUTO_REGISTER_VERSION:
            graph.register_generator_state(chance)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            result = work()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


class CapturedStep:
    """A function of row numbers (B,) and some numbers, whose work is captured at its second call and replayed from then on.

    A graph does again what was done when it was captured, on the same memory. So what differs between two calls is an argument,
    handed over as a tensor in memory of its own, numbers as float32 (); the function may read none of it back to the CPU. Each
    B has its own graph. The tensor that a call returns is overwritten by the next call of the same B.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        chance: torch.Generator,
        capture: Callable[[Step, torch.Generator], Step] = cuda_graph,
    ) -> None:
        """Take the function and the generator it draws from; `capture` makes of some work what does it again."""
        self._function, self._generator, self._capture = function, chance, capture
        self._arguments: dict[int, list[Tensor]] = {}
        self._replays: dict[int, Step] = {}

    def __call__(self, rows: Tensor, *numbers: float) -> Tensor:
        """Return what the function returns for these arguments."""
        size = len(rows)
        is_first = size not in self._arguments
        if is_first:
            self._arguments[size] = [torch.empty_like(rows), *(rows.new_empty((), dtype=torch.float32) for _ in numbers)]
        arguments = self._arguments[size]
        arguments[0].copy_(rows)
        for argument, number in zip(arguments[1:], numbers, strict=True):
            argument.fill_(number)
        if is_first:  # kernel by kernel: libraries set themselves up at their first use, which a capture forbids
            return self._function(*arguments)
        if size not in self._replays:
            self._replays[size] = self._capture(lambda: self._function(*arguments), self._generator)
        return self._replays[size]()
