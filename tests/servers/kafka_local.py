"""A Kafka broker for people without Docker: `make kafka-up` starts one, `make kafka-down` ends it.

It runs on, with its records in the cache folder, until it is told to stop.
"""

import argparse
import sys
from pathlib import Path

from tests.servers.guarding import alone, free_port, is_free
from tests.servers.kafka import SOON_BACK, Broker, Settings
from tests.servers.kafka_installation import CACHE

FOLDER = CACHE / "kafka"
PORT = 9092
SETTINGS: Settings = {**SOON_BACK, "auto.create.topics.enable": "true"}


def up(folder: Path, port: int) -> str:
    """Start the broker of that folder, if it does not run; what to do next.

    Raises RuntimeError when the port is taken, or when it cannot be started.
    """
    told = folder / "port"
    with alone(told):
        if _broker(folder, port).running:
            port = int(told.read_text())
        elif not is_free(port):
            raise RuntimeError(
                f"something else listens on 127.0.0.1:{port}: name a free port "
                f"(make kafka-up KAFKA_PORT={port + 1})"
            )
        told.write_text(str(port))
        broker = _broker(folder, port)
        broker.start()
    return (
        f"Kafka answers on {broker.servers}. A topic is created when it is first written to.\n"
        f"  Tell touchstone: export TOUCHSTONE_KAFKA_BOOTSTRAP_SERVERS={broker.servers}\n"
        f"  Stop it:         make kafka-down (its records stay in {broker.folder})\n"
        f"  Its log:         {broker.log}"
    )


def down(folder: Path) -> str:
    """Stop the broker of that folder, in order; what happened."""
    broker = _broker(folder, PORT)
    if not broker.running:
        return f"No broker runs in {folder}."
    broker.stop()
    return f"Kafka has stopped. Its records are in {folder}; make kafka-up brings them back."


def _broker(folder: Path, port: int) -> Broker:
    return Broker(folder=folder, port=port, controller_port=free_port(), settings=SETTINGS)


def main(arguments: list[str] | None = None) -> int:
    """Start or stop it as told on the command line; 1 with the reason if that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--port", type=int, default=PORT, help="on 127.0.0.1 (%(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of its data (%(default)s)")
    asked = parser.parse_args(arguments)
    folder = asked.folder.resolve()
    try:
        said = up(folder, asked.port) if asked.action == "up" else down(folder)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
