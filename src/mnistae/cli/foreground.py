"""A live display on stderr that disappears while its process is in the background."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.live import Live

from mnistae.cli import signals
from mnistae.cli.terminal import can_redraw


@contextlib.contextmanager
def live(shown: RenderableType, terminal: Console) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether the display is visible; it is drawn again after a return to the foreground."""

    class ForegroundLive(Live):
        def refresh(self) -> None:
            if self.is_started and not can_redraw():
                self.console.quiet = True  # moving the cursor would erase lines of the shell
                self.stop()
                signals.show_cursor()
            super().refresh()

    def start() -> Live:
        display = ForegroundLive(shown, console=terminal, transient=True, refresh_per_second=10)
        display.start(refresh=True)
        return display

    display = start()

    def is_visible() -> bool:
        nonlocal display
        if not can_redraw():
            display.refresh()
            return False
        if not display.is_started:
            terminal.quiet = False
            display = start()
        return True

    try:
        yield is_visible
    finally:
        display.stop()
