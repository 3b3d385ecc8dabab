"""Kills in a row, judged every few: the program behind scripts/thousand_kills."""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tests.faults.members import Member, Members, loopback_places
from tests.faults.rig import Rig

JUDGED_EVERY = 25
FLAGS = {"--snapshot-count": "300"}
"""Few, so that kills hit snapshots and what is cut off behind them as well."""


class Killer:
    """Chooses whom and when, by its dice."""

    def __init__(self, rig: Rig, dice: random.Random) -> None:
        self._rig = rig
        self._dice = dice
        self.kills = 0

    async def strike(self) -> None:
        """Kill some members at any moment of their work, and let them come back."""
        victims = await self._choose()
        await self._rig.progress(self._dice.randrange(1, 60))
        await asyncio.sleep(self._dice.random() * 0.05)
        asleep = self._dice.choice(list(self._rig.members))
        if self._dice.random() < 0.1:
            # One that sleeps meanwhile wakes to a world that went on.
            asleep.pause()
        for victim in victims:
            victim.kill()
            self.kills += 1
        if len(victims) == 1 and not asleep.paused and self._dice.random() < 0.3:
            await self._rig.progress(20)  # the others go on
        for victim in victims:
            victim.start()
        if self._dice.random() < 0.1:
            # Once more, while it reads what the first kill left.
            await asyncio.sleep(0.3 + 0.5 * self._dice.random())
            victims[0].kill()
            self.kills += 1
            victims[0].start()
        if asleep.paused:
            await asyncio.sleep(0.5 * self._dice.random())
            asleep.resume()
        await self._rig.ready(*victims)

    async def _choose(self) -> list[Member]:
        everybody = list(self._rig.members)
        chance = self._dice.random()
        if chance < 0.6:
            return [await self._rig.leader()]
        if chance < 0.9:
            return [self._dice.choice(everybody)]
        return self._dice.sample(everybody, self._dice.randrange(2, len(everybody) + 1))


async def run(folder: Path, options: argparse.Namespace) -> None:
    dice = random.Random(options.seed)
    began = time.monotonic()
    with Members(folder, loopback_places(options.members), flags=FLAGS) as members:
        async with Rig(members, options.seed) as rig:
            killer = Killer(rig, dice)
            while killer.kills < options.kills:
                goal = min(options.kills, killer.kills + JUDGED_EVERY)
                while killer.kills < goal:
                    await killer.strike()
                await rig.judge()
                print(
                    f"{killer.kills:5} kills  {rig.operations:8} operations  "
                    f"revision {rig.order.timeline.revision:8}  {time.monotonic() - began:6.0f} s",
                    flush=True,
                )
                rig.workload.start()
    print(f"{killer.kills} kills, nothing lost: {time.monotonic() - began:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="podling-kills-"))
    failed = True
    try:
        uvloop.run(run(folder, options))
        failed = False
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        failed = False
        return 130
    finally:
        if failed:
            print(f"the data and logs are kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
