"""`podling simulate`: whole systems in one process, on virtual time, decided by a seed."""

from collections.abc import Iterable
from pathlib import Path

import click

from podling.aiokit import ids
from podling.simulate.store.director import Outcome
from podling.simulate.store.generator import generate
from podling.simulate.store.planted import BUGS
from podling.simulate.store.runs import run, summary
from podling.simulate.store.schedule import Schedule, UnknownSchedule
from podling.simulate.store.shrinking import shrink


@click.group()
def simulate() -> None:
    """Run whole systems on virtual time, with every fault there is, decided by a seed."""


@simulate.command()
@click.option("--seed", type=int, help="What decides everything; drawn if it is not given.")
@click.option("--steps", type=click.IntRange(0), default=200, show_default=True, help="Events.")
@click.option("--seeds", type=click.IntRange(1), default=1, help="Run so many, from --seed on.")
@click.option("--trace", is_flag=True, help="Print everything that happens, a line each.")
@click.option("--plant", type=click.Choice(list(BUGS)), help="Plant a bug, to see it found.")
@click.option("--shrink/--no-shrink", "shrinking", default=True, help="Make what fails short.")
@click.option(
    "--schedule",
    "replayed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replay a saved schedule instead of a seed's.",
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the schedule here; of a run that fails, the short one.",
)
@click.pass_context
def store(  # noqa: PLR0913 - one for each option
    context: click.Context,
    seed: int | None,
    steps: int,
    seeds: int,
    trace: bool,
    plant: str | None,
    shrinking: bool,
    replayed: Path | None,
    save: Path | None,
) -> None:
    """Members of the store under crashes, partitions, failing disks and clocks that drift.

    Checks all the time what Raft and etcd promise, and at the end whether what clients saw is
    linearizable. The same seed and steps give the same run, to the byte of its trace.
    """
    bug = BUGS[plant] if plant is not None else None
    for schedule in _schedules(seed, steps, seeds, replayed):
        click.echo(f"seed {schedule.seed}, {len(schedule.events)} events")
        outcome = run(schedule, bug)
        if outcome.violation is not None and shrinking:
            shown = shrink(outcome, lambda shorter: run(shorter, bug))
        else:
            shown = outcome
        if trace:
            click.echo("\n".join(shown.trace))
        if save is not None:
            save.write_text(shown.schedule.to_json())
        if outcome.violation is not None:
            _tell_violation(outcome, shown)
            context.exit(1)
        click.echo(f"  all is well: {summary(outcome)}")


def _schedules(
    seed: int | None, steps: int, seeds: int, replayed: Path | None
) -> Iterable[Schedule]:
    if replayed is not None:
        try:
            return [Schedule.from_json(replayed.read_text())]
        except UnknownSchedule as error:
            raise click.ClickException(f"{replayed}: {error}") from None
    first = ids.random_u64() % 10**9 if seed is None else seed
    return (generate(number, steps) for number in range(first, first + seeds))


def _tell_violation(outcome: Outcome, shown: Outcome) -> None:
    click.echo(f"  violated: {outcome.violation}")
    if shown is not outcome:
        click.echo(f"  as it is with {len(shown.schedule.events)} events: {shown.violation}")
        for event in shown.schedule.events:
            click.echo(f"    {event}")
