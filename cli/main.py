"""The entry point: the list of commands, the options they share, errors as exit codes."""

import difflib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from cli.session import DEFAULT_URL, Session

COMMANDS = {
    "init": ("cli.commands.init", "Create a ledger with its keys, or upgrade its schema."),
    "demo": ("cli.commands.demo", "A made-up year in a fresh ledger, then a tour of it."),
    "append": ("cli.commands.append", "Append touchpoints: CloudEvents as NDJSON or an array."),
    "import": ("cli.commands.importing", "Import a CSV, NDJSON or JSON file through a mapping."),
    "log": ("cli.commands.log", "The log itself: list, show, tail, export, void."),
    "customer": ("cli.commands.customer", "The 360° view of customers, and their timelines."),
    "ticket": ("cli.commands.ticket", "Tickets: the board, one ticket, its history."),
    "loyalty": ("cli.commands.loyalty", "Points: balance, statement, redeem, rules, simulate."),
    "consent": ("cli.commands.consent", "What may be sent to whom: show, check, violations."),
    "projection": ("cli.commands.projection", "The views: list, run, rebuild, verify, rollback."),
    "replay": ("cli.commands.replay", "Every view as it was, or would have been, in a file."),
    "follow": ("cli.commands.follow", "Keep the views up to date: the follower, as a service."),
    "consume": ("cli.commands.consume", "Kafka into the ledger, each record once, as a service."),
    "relay": ("cli.commands.relay", "The ledger's log out on a Kafka topic, as a service."),
    "serve": ("cli.commands.serve", "The HTTP door: touchpoints in, views out, as a service."),
    "connector": ("cli.commands.connector", "Systems whose webhooks are understood; list, test."),
    "quarantine": ("cli.commands.quarantine", "What could not be recorded: look, retry, discard."),
    "token": ("cli.commands.token", "Tokens with roles: create, list, revoke."),
    "keys": ("cli.commands.keys", "The master key and the subjects' keys: status, rotate."),
    "audit": ("cli.commands.audit", "Seals and proofs: verify, seal, prove, check."),
    "backup": ("cli.commands.backup", "The whole ledger into a file, its keys into another."),
    "restore": ("cli.commands.restore", "A ledger from its backup, on either store."),
    "schema": ("cli.commands.schema", "The catalogue of touchpoints, and its JSON Schemas."),
    "roles": ("cli.commands.roles", "Database roles with the least privileges (PostgreSQL)."),
    "doctor": ("cli.commands.doctor", "Check store, schema, keys, clock, disk and views."),
    "completion": ("cli.commands.completion", "A script that completes commands in your shell."),
}
"""Each command is loaded when it is called, so that none waits for the others' imports."""


HELP_OPTIONS = ["-h", "--help"]
PROGRAM = "touchstone"
COMPLETION = "_TOUCHSTONE_COMPLETE"
"""The environment variable by which a shell asks for completions."""


class Commands(click.Group):
    """The commands of COMMANDS; each module has a `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        _share_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and near and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _store(name: str) -> Any:
    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        session = ctx.ensure_object(Session)
        if value is not None and value is not False:
            setattr(session, name, value)

    return callback


def _store_token(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    """A variable that is set but empty is kept as an empty token, which nobody has: what was to
    hold a secret and does not must not make its holder the owner."""
    if value is None and isinstance(option.envvar, str) and os.environ.get(option.envvar) == "":
        value = ""
    _store("token")(ctx, option, value)


def shared_options() -> list[click.Option]:
    """The options that may stand before the command as well as behind it."""
    from cli.moments import Zone
    from cli.output import FORMATS

    kept: dict[str, Any] = {"expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["--ledger"], metavar="URL", callback=_store("url"), envvar="TOUCHSTONE_LEDGER",
            help=f"sqlite:///PATH or postgresql://…  [default: {DEFAULT_URL}]", **kept,
        ),
        click.Option(
            ["--keys"], type=click.Path(path_type=Path, dir_okay=False), callback=_store("keys"),
            envvar="TOUCHSTONE_KEYS", help="The key file, if not beside the ledger.", **kept,
        ),
        click.Option(
            ["--token"], metavar="SECRET", callback=_store_token, envvar="TOUCHSTONE_TOKEN",
            help="Who asks: a secret of `token create`. Better in TOUCHSTONE_TOKEN.", **kept,
        ),
        click.Option(
            ["-o", "--output"], type=click.Choice(FORMATS), callback=_store("form"),
            help="The form of the output.  [default: table on a terminal, else ndjson]", **kept,
        ),
        click.Option(
            ["--tz"], type=Zone(), callback=_store("zone"),
            help="The time zone of tables and of dates you type.  [default: UTC]", **kept,
        ),
        click.Option(
            ["--plain-csv"], is_flag=True, callback=_store("plain_csv"),
            help="CSV as it is, without protection from formulas.", **kept,
        ),
        click.Option(
            ["-q", "--quiet"], is_flag=True, callback=_store("quiet"),
            help="No progress and no notes.", **kept,
        ),
    ]  # fmt: skip


def _share_options(command: click.Command) -> None:
    """Let the shared options stand behind a command too; its help leaves them to the top."""
    command.context_settings.setdefault("help_option_names", HELP_OPTIONS)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _share_options(inner)
        if not command.invoke_without_command:
            return
    taken = {name for option in command.params for name in option.opts}
    for option in shared_options():
        if not taken & set(option.opts):
            option.hidden, option.envvar = True, None
            command.params.append(option)


@click.command(cls=Commands, context_settings={"help_option_names": HELP_OPTIONS})
@click.version_option(package_name="touchstone")
@click.pass_context
def touchstone(ctx: click.Context) -> None:
    """A customer-interaction ledger: touchpoints in, views out, everything explained.

    Data goes to standard output, all else to standard error. Begin with `touchstone demo`.
    """
    ctx.ensure_object(Session)


touchstone.params[:0] = shared_options()


def main() -> None:
    """Run the command line and end the process with its exit code (cli/exits.py)."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors for people are one line each."""
    try:
        result = _invoke(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`): that is no error, but the stream must not be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - what has an exit code is told in one line
        return _failed(error)


def _invoke(arguments: list[str]) -> object:
    """Run a command in a context of its own; a shell that asks for completions is answered.

    Click's own `main` is not used for commands: it takes a closed pipe for a failure.
    """
    if COMPLETION in os.environ:
        return touchstone.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    with touchstone.make_context(PROGRAM, list(arguments)) as ctx:
        return touchstone.invoke(ctx)


def _failed(error: Exception) -> int:
    from cli.exits import code_of

    code = code_of(error)
    if code is None:
        raise error
    click.echo(f"Error: {_in_one_line(error)}", err=True)
    return code


def _in_one_line(error: Exception) -> str:
    """What an error says, without the number that the system has for it."""
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        return f"{named}{error.strerror}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
