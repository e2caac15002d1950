"""`touchstone follow`: keeps the views up to date for as long as it runs."""

from contextlib import ExitStack
from pathlib import Path

import click

from cli import exits
from cli.commands.projection import (
    chosen_views,
    list_,
    until_interrupted,
    workers_option,
)
from cli.following import Telling, gauges
from cli.health import answering, health_options, writing
from cli.session import Session, pass_session
from ledger.ledger import Ledger
from ledger.metrics import Metrics
from projections.follower import PAGE_TOUCHPOINTS
from projections.following import POLL_SECONDS, STUCK_SECONDS, Following, Pace
from projections.pulse import Pulse


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--once", is_flag=True, help="Stop at the end that the log has now.")
@workers_option
@click.option(
    "--batch", type=click.IntRange(1, 100_000), default=PAGE_TOUCHPOINTS, show_default=True,
    help="Touchpoints in one transaction.",
)  # fmt: skip
@click.option(
    "--poll", type=click.FloatRange(0.05, 10), default=POLL_SECONDS, show_default=True,
    metavar="SECONDS", help="How often to look at the log when nothing is told.",
)  # fmt: skip
@click.option(
    "--stuck-after", type=click.FloatRange(1), default=STUCK_SECONDS, show_default=True,
    metavar="SECONDS", help="A view that is behind and has not moved for so long is stuck.",
)  # fmt: skip
@health_options
@click.option(
    "--health", "health_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the same into a file, each second.",
)  # fmt: skip
@pass_session
def command(
    session: Session,
    names: tuple[str, ...],
    once: bool,
    workers: int,
    batch: int,
    poll: float,
    stuck_after: float,
    health_port: int | None,
    health_host: str,
    health_file: Path | None,
) -> int:
    """Keep views up to date as touchpoints come, until interrupted. Without names, all views.

    Of several such processes one follows a view; the others stand by, and take over when it
    ends, however that may be. A server that cannot be reached is waited for.
    """
    views = chosen_views(names, every=not names)
    pulse = Pulse(max(stuck_after, 2 * poll))
    telling = Telling(session.note)
    with session.ledger() as ledger, until_interrupted(session) as stop, ExitStack() as shown:
        if health_port is not None:
            metrics = Metrics(lambda: gauges(pulse.health()))
            answered = answering(pulse.health, health_port, host=health_host, metrics=metrics.told)
            session.note(f"health: {shown.enter_context(answered)}/healthz")
        if health_file is not None:
            shown.enter_context(writing(pulse.health, health_file))
        following = Following(
            ledger,
            views,
            pulse,
            progress=session.progress,
            looked=lambda: telling(pulse.health()),
            pace=Pace(batch=batch, workers=workers, poll_seconds=poll),
            stop=stop,
        )
        following.run(_end_of(ledger) if once else None)
    click.get_current_context().invoke(list_)
    return exits.DONE


def _end_of(ledger: Ledger) -> int:
    return ledger.log.head().position
