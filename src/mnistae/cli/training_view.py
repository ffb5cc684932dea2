"""A run while it is running: a live bar on a terminal, one plain line an epoch elsewhere."""

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mnistae.cli import console
from mnistae.cli.console import Screen
from mnistae.records import Epoch

if TYPE_CHECKING:
    from mnistae.training.session import Plan


def view(screen: Screen, epochs: Iterable[Epoch], plan: "Plan", images: int) -> None:
    """Work through the epochs and show each as it comes. `images` is how many one epoch sees."""
    total = plan.config.epochs
    done = len(plan.state.history) if plan.state else 0
    if not screen.quiet and console.is_terminal(sys.stderr):
        _bar(epochs, done, total, images)
        return
    started = time.monotonic()
    for epoch in epochs:
        now = time.monotonic()
        screen.note(
            f"epoch {epoch.number:>{len(str(total))}}/{total}  loss {epoch.loss:.5f}  "
            f"lr {epoch.learning_rate:g}  {images / (now - started):,.0f} images/s"
        )
        started = now


def _bar(epochs: Iterable[Epoch], done: int, total: int, images: int) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console.error_console(), transient=True, expand=True) as bar:
        task = bar.add_task("", total=total, completed=done, facts="loss …")
        started = time.monotonic()
        for epoch in epochs:
            now = time.monotonic()
            speed = images / (now - started)
            facts = f"loss {epoch.loss:.5f}  lr {epoch.learning_rate:g}  {speed:,.0f} images/s"
            bar.update(task, completed=epoch.number, facts=facts)
            started = now
