"""`touchstone serve`: the HTTP door, for as long as it runs."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import click
import structlog

from cli import exits
from cli.following import gauges
from cli.health import PORT_MAX
from cli.listening import listening_at, place_told
from cli.logs import logging_to_people
from cli.session import Session, no_follow_option, pass_session
from cli.stopping import stopping
from cli.webhook_secrets import secret_of
from ledger.appender import Appender
from ledger.errors import LedgerError
from ledger.faults import fault_of
from ledger.intake import Stop
from ledger.ledger import Ledger
from ledger.mapping_file import MappingInvalid
from ledger.metrics import Gauge
from ledger.progress import Report, silent
from ledger.waiting import delays, pause
from ledger.working import collect_seldom
from projections.following import STUCK_SECONDS, Following
from projections.pulse import Pulse
from projections.rebuild import Interrupted
from projections.registry import PROJECTIONS
from web.app import application
from web.server import serve
from web.settings import Settings
from web.watch import Watch
from web.webhooks.config import load_webhooks
from web.webhooks.endpoints import PATH
from web.webhooks.receiving import Webhook

HOST, PORT = "127.0.0.1", 8080
_DEFAULTS = Settings()


@click.command()
@click.option(
    "--host", default=HOST, show_default=True,
    help="The address at which it answers; 0.0.0.0 is every one of this machine.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, PORT_MAX), default=PORT, show_default=True,
    help="The port; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--public-url", metavar="URL",
    help="Where clients reach it, behind a proxy, say: some webhooks sign it.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(0), default=_DEFAULTS.requests_per_second, show_default=True,
    metavar="N", help="Requests a second of one token or webhook; 0 is no limit.",
)  # fmt: skip
@click.option(
    "--body-limit", type=click.IntRange(1), default=_DEFAULTS.body_max, show_default=True,
    metavar="BYTES", help="Of a request that is no stream, before and after unpacking.",
)  # fmt: skip
@click.option(
    "--historical", multiple=True, metavar="SOURCE",
    help="Never correct this source's times by its sender's clock (repeatable).",
)  # fmt: skip
@click.option(
    "--webhooks", "webhooks_path", metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Which webhooks it takes (TOML); see docs/WEBHOOKS.md.",
)  # fmt: skip
@click.option(
    "--tls-cert", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="A certificate (PEM), to speak HTTPS.",
)  # fmt: skip
@click.option(
    "--tls-key", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="The key of that certificate (PEM).",
)  # fmt: skip
@no_follow_option
@pass_session
def command(
    session: Session,
    host: str,
    port: int,
    public_url: str | None,
    rate: float,
    body_limit: int,
    historical: tuple[str, ...],
    webhooks_path: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    no_follow: bool,
) -> int:
    """Take in touchpoints by HTTP, and answer questions to the views, until interrupted.

    CloudEvents come to /v1/events, and what libraries for Segment send to /v1/batch and its
    like. Each request brings the secret of a token (`touchstone token create`). The views are
    followed beside; /openapi.json says all that there is.
    """
    settings = Settings(
        public_url=_url(public_url),
        requests_per_second=rate,
        body_max=body_limit,
        historical=frozenset(historical),
        webhooks=_webhooks(webhooks_path, _url(public_url)),
    )
    place = listening_at(host, port, tls_cert, tls_key)
    log = structlog.get_logger("touchstone.serve")
    with (
        logging_to_people(quiet=session.quiet),
        session.ledger() as ledger,
        Appender(ledger) as appender,
        stopping() as stop,
    ):
        for webhook in settings.webhooks:
            path = PATH.format(name=webhook.name)
            log.info("webhook", name=webhook.name, connector=webhook.connector.name, path=path)
        pulse = None if no_follow else Pulse(STUCK_SECONDS)
        app = application(ledger, settings, Watch(partial(_views, pulse)), appender.append)
        with place_told(place), _following(ledger, pulse):
            collect_seldom()
            serve(app, settings, place, stop, lambda url: log.info("answers", url=url))
    return exits.DONE if stop.signal is None else exits.SIGNAL_BASE + stop.signal


def _webhooks(path: Path | None, public_url: str | None) -> tuple[Webhook, ...]:
    """The webhooks of a file, with their secrets. Raises UsageError."""
    if path is None:
        return ()
    try:
        return load_webhooks(path, secret_of, public_url)
    except MappingInvalid as error:
        raise click.UsageError(str(error)) from None


def _url(given: str | None) -> str | None:
    """The public URL without a slash at its end. Raises UsageError."""
    if given is None:
        return None
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise click.UsageError(
            "--public-url is to be where clients reach this server: https://touchpoints.example.com"
        )
    return given.rstrip("/")


@contextmanager
def _following(ledger: Ledger, pulse: Pulse | None) -> Iterator[None]:
    """Keep the views up to date beside, where no other process does; without a pulse, do not."""
    if pulse is None:
        yield
        return
    stop = Stop()
    thread = threading.Thread(target=_follow, args=(ledger, pulse, stop), name="follower")
    thread.start()
    try:
        yield
    finally:
        stop.signal = 0
        thread.join()


def _follow(ledger: Ledger, pulse: Pulse, stop: Stop) -> None:
    """Follow until stopped. Whatever goes wrong, what comes in is recorded all the same."""
    log = structlog.get_logger("touchstone.serve")
    for seconds in delays():
        following = Following(ledger, PROJECTIONS, pulse, progress=_silent, stop=stop)
        try:
            following.run()
        except Interrupted:
            return
        except LedgerError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - told without its message, which may quote
            reason = f"a fault of ours: {' '.join(fault_of(error))}"
        pulse.lost(reason)
        log.error("the views are not followed; trying again", reason=reason)
        pause(seconds, stop)
        if stop.requested:
            return


def _views(pulse: Pulse | None) -> Iterable[Gauge]:
    """How the follower beside is doing, as that of `touchstone follow` is told."""
    return () if pulse is None else gauges(pulse.health())


@contextmanager
def _silent() -> Iterator[Report]:
    yield silent
