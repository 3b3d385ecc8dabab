"""`podling store`: one member of the store, alone, with etcd's flags; and commands for its files.

The flags are checked before anything heavy is imported, so that a mistake is told at once.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from podling import __version__
from podling.cli.lazy_group import LazyGroup
from podling.controlplane.store.version import VERSION
from podling.launcher.errors import LauncherError
from podling.launcher.store.store_flags import CONFIGURATION, WITHOUT_EFFECT, StoreFlags
from podling.launcher.store.store_settings import settings

PROCESS = "podling.launcher.store.store_process"
CONFIG_FILES = "podling.launcher.store.config_file"
CONFIG_FILE = "config_file"
ENVIRONMENT = "ETCD_"
COMMANDS = {
    "inspect": "podling.cli.store_files:inspect",
    "snapshot": "podling.cli.store_files:snapshot",
    "recover": "podling.cli.store_files:recover",
}


class FlagOption(click.Option):
    """An option that knows under which title of the help it stands."""

    def __init__(self, *names: str, section: str, **rest: Any) -> None:
        super().__init__(names, **rest)
        self.section = section

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Without former names."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        names, text = record
        for former in self.opts[1:]:
            names = names.replace(f", {former}", "")
        return names, text

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """With a file of flags, the environment does not count (etcd: --config-file)."""
        return None if ctx.params.get(CONFIG_FILE) else super().resolve_envvar_value(ctx)


class StoreGroup(LazyGroup):
    """The flags of a member, by section; and commands."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                section = getattr(parameter, "section", "Other")
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)
        self.format_commands(ctx, formatter)


def _options() -> Iterator[FlagOption]:
    for each in fields(StoreFlags):
        yield _option(each)
    yield FlagOption(
        "--config-file",
        section=CONFIGURATION,
        help="Flags in etcd's YAML form; all others, and ETCD_ variables, are ignored then.",
        metavar="FILE",
        default="",
        envvar=_variable("config-file"),
        is_eager=True,
    )
    yield FlagOption(
        "--version",
        section="Other",
        help="Tell which release of etcd this is like, and exit.",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_tell_version,
    )


def _tell_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    """In etcd's form, for scripts."""
    if asked:
        click.echo(f"etcd Version: {VERSION}\nPodling Version: {__version__}")
        context.exit()


def _option(each: "Field[Any]") -> FlagOption:
    name = each.name.replace("_", "-")
    kind: dict[str, Any] = {"type": type(each.default)}
    if isinstance(each.default, bool):
        # As Go has it: --flag and --flag=true.
        kind |= {"is_flag": False, "flag_value": "true"}
    aliases: tuple[str, ...] = each.metadata["aliases"]
    return FlagOption(
        f"--{name}",
        *(f"--{alias}" for alias in aliases),
        each.name,
        section=each.metadata["section"],
        help=each.metadata["help"],
        metavar=_metavar(each),
        default=each.default,
        show_default=each.default not in ("", False) and each.metadata["section"] != WITHOUT_EFFECT,
        envvar=[_variable(name), *(_variable(alias) for alias in aliases)],
        **kind,
    )


def _metavar(each: "Field[Any]") -> str:
    """What stands for the value in the help."""
    if isinstance(each.default, bool):
        return "[=BOOL]"
    if isinstance(each.default, int):
        return "N"
    kinds = {"urls": "URL,...", "file": "FILE", "dir": "DIRECTORY"}
    return kinds.get(each.name.rpartition("_")[2], "TEXT")


def _variable(flag: str) -> str:
    return ENVIRONMENT + flag.replace("-", "_").upper()


@click.pass_context
def _run(context: click.Context, /, config_file: str, **values: Any) -> None:
    if context.invoked_subcommand is not None:
        return
    try:
        if config_file:
            _warn_of_ignored(context, config_file, values)
            checked = importlib.import_module(CONFIG_FILES).settings_of(Path(config_file))
        else:
            given = _given(context, values)
            _warn_of_strange_variables(values)
            checked = settings(StoreFlags(**values), given)
        # What goes wrong with a connection is told by us, once, and not at every attempt.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        sys.exit(importlib.import_module(PROCESS).run(checked))
    except LauncherError as error:
        raise click.ClickException(str(error)) from None


def _given(context: click.Context, values: dict[str, Any]) -> set[str]:
    """The flags that the user wrote; raises UsageError for one in the environment as well."""
    given = set()
    for name in values:
        source = context.get_parameter_source(name)
        variable = _variable(name)
        if source == ParameterSource.COMMANDLINE and os.environ.get(variable):
            raise click.UsageError(
                f"conflicting environment variable {variable} is shadowed by the flag "
                f"--{name.replace('_', '-')}: unset the one or leave out the other"
            )
        if source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
            given.add(name)
    return given


def _warn_of_ignored(context: click.Context, config_file: str, values: dict[str, Any]) -> None:
    """etcd says nothing of it but that it reads the file."""
    ignored = [
        f"--{name.replace('_', '-')}"
        for name in values
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE
    ]
    ignored += sorted(
        name
        for name in os.environ
        if name.startswith(ENVIRONMENT) and name != _variable(CONFIG_FILE)
    )
    if ignored:
        click.echo(
            f"warning: with --config-file={config_file} all other flags and variables are ignored: "
            f"{', '.join(ignored)}",
            err=True,
        )


def _warn_of_strange_variables(values: dict[str, Any]) -> None:
    known = {_variable(name) for name in (CONFIG_FILE, *values)}
    known |= {_variable(alias) for each in fields(StoreFlags) for alias in each.metadata["aliases"]}
    for variable in sorted(os.environ):
        if variable.startswith(ENVIRONMENT) and variable not in known:
            click.echo(f"warning: the environment variable {variable} is not known here", err=True)


store = StoreGroup(
    "store",
    places=COMMANDS,
    params=list(_options()),
    callback=_run,
    invoke_without_command=True,
    help="""Run one member of the store in the foreground: etcd's API, etcd's flags.

    Each flag can be given as an environment variable, too: ETCD_NAME for --name.
    """,
)
