"""Training progress: a live bar with the losses so far on a terminal, one line per epoch elsewhere."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mnistae.cli import terminal
from mnistae.cli.console import Reporter
from mnistae.outputs.terminal.charts import sparkline

if TYPE_CHECKING:
    from mnistae.training.run import Run

MANY_EPOCHS = 100
LINE_EVERY = 3.0
"""Seconds between two lines of a run of more than MANY_EPOCHS."""

COUNT_EVERY = 1.0
"""Seconds between two counts of the active units, each of which takes a few milliseconds."""


def show_training(reporter: Reporter, run: "Run", should_stop: Callable[[], bool]) -> None:
    """Train the run and show each epoch when it ends."""
    has_bar = not reporter.quiet and terminal.can_redraw()
    total, shown = run.spec.config.epochs, -math.inf
    with _bar(run) if has_bar else contextlib.nullcontext(lambda _epoch, _facts: False) as show:
        started = time.monotonic()
        for epoch in run.epochs(should_stop):
            now = time.monotonic()
            speed = run.images_per_epoch / (now - started)
            facts = f"loss {epoch.loss:.5f}  lr {epoch.learning_rate:g}  {speed:,.0f} images/s"
            is_due = total <= MANY_EPOCHS or now - shown >= LINE_EVERY or epoch.number == total
            if not show(epoch.number, facts) and is_due:
                shown = now
                reporter.info(f"epoch {epoch.number:>{len(str(total))}}/{total}  {facts}")
            started = time.monotonic()


@contextlib.contextmanager
def _bar(run: "Run") -> Iterator[Callable[[int, str], bool]]:
    """Yield a function that updates the bar and returns whether it is visible."""
    from rich.console import Group
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from mnistae.cli import foreground

    columns = (
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
    )
    display = terminal.error_console()
    bar, below = Progress(*columns, console=display, expand=True), Text(no_wrap=True)
    task = bar.add_task("", total=run.spec.config.epochs, completed=len(run.history), facts="loss …")
    active, counted = 0, -math.inf
    has_bars = terminal.supports_unicode(sys.stderr)  # before rich replaces the stream
    with foreground.live(Group(bar, below), display) as is_visible:

        def show(number: int, facts: str) -> bool:
            nonlocal active, counted
            if time.monotonic() - counted >= COUNT_EVERY:
                active, counted = run.count_active(), time.monotonic()
            bar.update(task, completed=number, facts=facts)
            units = f"{active} of {run.spec.model.bottleneck} units active"
            losses = sparkline([epoch.loss for epoch in run.history], display.width - len(units) - 2)
            below.plain = f"{losses}  {units}" if has_bars else units
            return is_visible()

        yield show
