"""`touchstone completion`: the script by which a shell completes commands and options."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "touchstone"
VARIABLE = "_TOUCHSTONE_COMPLETE"
"""The environment variable by which a shell asks click for completions."""

INSTALL = """\b
To have it in every new shell:
  bash: touchstone completion bash > ~/.touchstone.bash
        echo 'source ~/.touchstone.bash' >> ~/.bashrc
  zsh:  touchstone completion zsh > ~/.touchstone.zsh
        echo 'source ~/.touchstone.zsh' >> ~/.zshrc
  fish: touchstone completion fish > ~/.config/fish/completions/touchstone.fish
"""


@click.command(epilog=INSTALL)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in SHELL.

    It completes options and types of touchpoints as well.
    """
    made = get_completion_class(shell)
    if made is None:
        raise LookupError(f"click cannot complete in {shell}")
    click.echo(made(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
