"""Makes a schedule of a seed.

Every seed has its own character: some kinds of faults never happen, others all the time (swarm
testing: Groce et al., 2012). What clients do is mixed in between.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from podling.simulate.store.administering import CHANGES
from podling.simulate.store.schedule import Event, Schedule, Settings

Details = dict[str, Any]

KEYS = ("a", "b", "c", "d")
DRIFT = 0.05
"""Clocks run up to this share fast or slow."""
SPARES = 3
USERS = ("alice", "bob")
ROLES = ("one", "two")
"""Each has at first one of them."""
USERS_SHARE = 0.3
"""Runs in which it matters who asks."""
ADDED_SHARE = 0.25
"""How often what happens may happen to a member that was added."""
WATCHES = 3
"""There from the beginning, each at another member."""


def generate(seed: int, steps: int) -> Schedule:
    """The schedule of `seed`, with `steps` events. The same seed, the same schedule."""
    dice = random.Random(f"{seed}/schedule")
    settings = _settings(dice)
    maker = _Maker(dice, settings)
    return Schedule(seed, settings, tuple(maker.events(steps)))


def _settings(dice: random.Random) -> Settings:
    members = dice.choice([1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 7])
    return Settings(
        members=members,
        spares=SPARES,
        snapshot_count=dice.choice([3, 5, 10, 40, 10_000]),
        catch_up_entries=dice.choice([0, 0, 3, 20]),
        segment_bytes=dice.choice([1000, 10_000, 16 * 1024 * 1024]),
        network_delay=(0.0002, dice.choice([0.001, 0.005, 0.05, 0.25])),
        disk_latency=(0.0002, dice.choice([0.0005, 0.003, 0.03])),
        quota_bytes=dice.choice([0, 0, 0, 3000, 6000]),
        corrupt_check_interval=dice.choice([0, 0, 1.0]),
        drift=tuple(round(dice.uniform(1 - DRIFT, 1 + DRIFT), 4) for _ in range(members)),
    )


class _Maker:
    """Draws one event after another."""

    def __init__(self, dice: random.Random, settings: Settings) -> None:
        self._dice = dice
        self._settings = settings
        self._numbers = range(1, settings.members + 1)
        self._everybody = range(1, settings.members + settings.spares + 1)
        self._value = 0
        self._lease = 0
        self._at = 0.2
        self._busy = dice.choice([0.01, 0.03, 0.1, 0.3])
        """Seconds between two events, on average."""
        self._work = self._weights(WORK, 0.9)
        self._faults = self._weights(FAULTS, 0.4)
        self._users = dice.random() < USERS_SHARE
        """Whether it matters who asks."""
        if self._users:
            self._work |= self._weights(ADMINISTRATION, 0.9)
        if settings.quota_bytes:
            self._work |= {"disarm": 1.0}
        self._size = dice.choice([0, 600, 3000]) if not settings.quota_bytes else 0
        """Bytes of large values."""
        self._fault_share = dice.choice([0.1, 0.2, 0.35]) if self._faults else 0.0

    def events(self, count: int) -> list[Event]:
        events = [
            Event(self._at, "watch", {"member": number, "key": "*", "back": 0})
            for number in self._numbers[:WATCHES]
        ]
        if self._users:
            details = {"names": ",".join(USERS), "roles": ",".join(ROLES)}
            events.append(Event(self._at, "begin_users", {"member": self.member(), **details}))
        while len(events) < count:
            self._at += self._dice.expovariate(1 / self._busy)
            if self._dice.random() < self._fault_share:
                table, weights = FAULTS, self._faults
            else:
                table, weights = {**WORK, **ADMINISTRATION, **RELIEF}, self._work
            (verb,) = self._dice.choices(list(weights), list(weights.values()))
            _, make = table[verb]
            for seconds, name, details in make(self):
                events.append(Event(round(self._at + seconds, 6), name, details))
        events.sort(key=lambda event: event.at)
        return events[:count]

    def _weights(self, table: "Table", share: float) -> dict[str, float]:
        """Which kinds happen in this run, and how often."""
        chosen = {
            verb: weight * self._dice.choice([0.3, 1, 3])
            for verb, (weight, _) in table.items()
            if self._dice.random() < share
        }
        return chosen or {verb: weight for verb, (weight, _) in table.items()}

    def who(self) -> int | str:
        """Any member, the leader as often as all others together."""
        return "leader" if self._dice.random() < 0.4 else self.member()

    def member(self) -> int:
        return self._dice.choice(self.some())

    def some(self) -> range:
        """The first members, mostly; sometimes those, too, that may have been added since."""
        return self._everybody if self._dice.random() < ADDED_SHARE else self._numbers

    def spare(self) -> int:
        """A member that is added."""
        return self._settings.members + self._dice.randint(1, self._settings.spares)

    def key(self) -> str:
        return self._dice.choice(KEYS)

    def value(self) -> str:
        self._value += 1
        return str(self._value)

    def user(self) -> Details:
        """Who asks, if it is not the administrator."""
        return (
            {"user": self._dice.choice(USERS)} if self._users and self._dice.random() < 0.6 else {}
        )

    def seconds(self, least: float, most: float) -> float:
        return round(self._dice.uniform(least, most), 3)

    def two(self) -> tuple[int, int]:
        one, other = self._dice.sample(self._everybody, 2)
        return one, other

    # Each of these returns events: seconds from now, verb, details.

    def put(self) -> "Made":
        details = {"member": self.who(), "key": self.key(), "value": self.value()}
        large = {"size": self._size} if self._dice.random() < 0.2 else {}
        return [(0, "put", details | self.user() | large)]

    def get(self) -> "Made":
        return [(0, "get", {"member": self.who(), "key": self.key()} | self.user())]

    def peek(self) -> "Made":
        return [(0, "peek", {"member": self.member(), "key": self.key()} | self.user())]

    def read_all(self) -> "Made":
        return [(0, "read_all", {"member": self.who()} | self.user())]

    def delete(self) -> "Made":
        return [(0, "delete", {"member": self.who(), "key": self.key()} | self.user())]

    def swap(self) -> "Made":
        return [(0, "swap", {"member": self.who(), "key": self.key(), "value": self.value()})]

    def put_both(self) -> "Made":
        first, second = self._dice.sample(KEYS, 2)
        details = {"member": self.who(), "first": first, "second": second, "value": self.value()}
        return [(0, "put_both", details | self.user())]

    def compact(self) -> "Made":
        return [(0, "compact", {"member": self.who(), "keep": self._dice.choice([0, 2, 10])})]

    def lease(self) -> "Made":
        self._lease += 1
        details = {
            "member": self.who(),
            "number": self._lease,
            "ttl": self._dice.choice([1, 2, 5]),
            "key": f"lease-{self._lease % 3}",
            "keep": self.seconds(0, 10),
        }
        return [(0, "lease", details)]

    def revoke(self) -> "Made":
        number = self._dice.randint(1, max(self._lease, 1))
        return [(0, "revoke", {"member": self.who(), "number": number})]

    def watch(self) -> "Made":
        key = self._dice.choice(["*", "*", self.key()])
        back = self._dice.choice([0, 0, 5, 50])
        return [(0, "watch", {"member": self.member(), "key": key, "back": back})]

    def change_users(self) -> "Made":
        """A change, and whom it concerns asks before every member has heard of it."""
        often = ["grant", "revoke", "grant-role", "revoke-role", "change-password"]
        changes = [*often, *often, *CHANGES]
        name = self._dice.choice(USERS)
        details = {
            "member": self.who(),
            "change": self._dice.choice(changes),
            "name": name,
            "role": self._dice.choice(ROLES),
            "key": self._dice.choice(["*", "*", "*", self.key()]),
            "kind": self._dice.choice([0, 1, 2, 2]),
        }
        return [(0, "change_users", details)] + [
            (
                self.seconds(0, 0.3),
                "get",
                {"member": self.member(), "key": self.key(), "user": name},
            )
            for _ in range(4)
        ]

    def log_in(self) -> "Made":
        details = {"name": self._dice.choice(USERS), "number": self._dice.choice([0, 0, 1, 2])}
        return [(0, "log_in", {"member": self.who(), **details})]

    def disarm(self) -> "Made":
        return [(0, "disarm", {"member": self.who()})]

    def crash(self) -> "Made":
        member = self.member()
        details = {
            "member": member,
            "power": self._dice.random() < 0.6,
            "after": self._dice.choice([0, 1, 2, 5, 20]),
        }
        return [(0, "crash", details), self._restart(member)]

    def crash_leader(self) -> "Made":
        details = {"member": "leader", "power": self._dice.random() < 0.6}
        made: Made = [(0, "crash", details)]
        return made + [self._restart(n) for n in self._everybody]

    def crash_all(self) -> "Made":
        """The power of the whole room."""
        made: Made = [(0, "crash", {"member": n, "power": True}) for n in self._everybody]
        return made + [self._restart(n) for n in self._everybody]

    def cut_power(self) -> "Made":
        member = self.member()
        details = {"member": member, "steps": self._dice.randint(1, 12)}
        return [(0, "cut_power", details), self._restart(member)]

    def stop(self) -> "Made":
        member = self.member()
        return [(0, "stop", {"member": member}), self._restart(member)]

    def pause(self) -> "Made":
        return [(0, "pause", {"member": self.who(), "seconds": self.seconds(0.05, 4)})]

    def drift(self) -> "Made":
        rate = round(self._dice.uniform(1 - DRIFT, max(self._settings.drift)), 4)
        return [(0, "drift", {"member": self.member(), "rate": rate})]

    def isolate(self) -> "Made":
        return [(0, "isolate", {"member": self.who()}), self._heal()]

    def partition(self) -> "Made":
        count = self._dice.randint(1, max(len(self._numbers) - 1, 1))
        side = ",".join(map(str, sorted(self._dice.sample(self.some(), count))))
        both_ways = self._dice.random() < 0.6
        return [(0, "partition", {"side": side, "both_ways": both_ways}), self._heal()]

    def cut(self) -> "Made":
        sender, receiver = self.two()
        return [(0, "cut", {"sender": sender, "receiver": receiver}), self._heal()]

    def trouble(self) -> "Made":
        lost, doubled, late = (self._dice.choice([0, 0.02, 0.2]) for _ in range(3))
        return [
            (0, "trouble", {"lost": lost, "doubled": doubled, "late": late}),
            (self.seconds(0.5, 10), "trouble", {"lost": 0, "doubled": 0, "late": 0}),
        ]

    def slow_way(self) -> "Made":
        sender, receiver = self.two()
        most = self._dice.choice([0.05, 0.3, 1.0])
        return [(0, "slow_way", {"sender": sender, "receiver": receiver, "most": most})]

    def lose_answers(self) -> "Made":
        share = self._dice.choice([0.1, 0.5])
        return [(0, "lose_answers", {"share": share}), (2, "lose_answers", {"share": 0})]

    def slow_disk(self) -> "Made":
        most = self._dice.choice([0.02, 0.1, 0.8])
        return [(0, "slow_disk", {"member": self.who(), "most": most})]

    def fail_sync(self) -> "Made":
        member = self.member()
        return [(0, "fail_sync", {"member": member}), self._restart(member)]

    def fill_disk(self) -> "Made":
        member = self.member()
        details = {"member": member, "room": self._dice.choice([0, 100, 3000])}
        made: Made = [(0, "fill_disk", details)]
        seconds = self.seconds(0.5, 4)
        made.append((seconds, "empty_disk", {"member": member}))
        return [*made, (seconds + 0.1, "restart", {"member": member})]

    def flip_bit(self) -> "Made":
        """At rest, in what is being written when the power goes, or unnoticed for a while."""
        member = self.member()
        flip = (0, "flip_bit", {"member": member})
        crash = (0, "crash", {"member": member, "power": True, "after": 0})
        made: Made = self._dice.choice([[flip, crash], [crash, flip], [flip]])
        return [*made, self._restart(member), (self.seconds(5, 9), "mend", {"member": member})]

    def transfer(self) -> "Made":
        return [(0, "transfer", {"member": self.member()})]

    def add(self) -> "Made":
        number = self.spare()
        learner = self._dice.random() < 0.6
        made: Made = [(0, "add", {"member": self.who(), "number": number, "learner": learner})]
        if learner:
            details = {"member": "leader", "number": number}
            made.append((self.seconds(0.5, 3), "promote", details))
        return made

    def remove(self) -> "Made":
        return [(0, "remove", {"member": self.who(), "number": self.who()})]

    def replace(self) -> "Made":
        """One goes, another comes."""
        number = self.spare()
        return [
            (0, "remove", {"member": "leader", "number": self.who()}),
            (self.seconds(0, 1), "add", {"member": "leader", "number": number, "learner": False}),
        ]

    def move(self) -> "Made":
        number = self.member()
        url = f"http://elsewhere-{self.value()}:2380"
        return [(0, "move", {"member": self.who(), "number": number, "url": url})]

    def _restart(self, member: int) -> "tuple[float, str, Details]":
        return self.seconds(0.1, 5), "restart", {"member": member}

    def _heal(self) -> "tuple[float, str, Details]":
        return self.seconds(0.2, 8), "heal", {}


Made = list[tuple[float, str, Details]]
#: Weight, and what makes the events, by name.
Table = Mapping[str, tuple[float, Callable[[_Maker], Made]]]

WORK: Table = {
    "put": (10, _Maker.put),
    "get": (8, _Maker.get),
    "peek": (2, _Maker.peek),
    "read_all": (1, _Maker.read_all),
    "delete": (2, _Maker.delete),
    "swap": (4, _Maker.swap),
    "put_both": (2, _Maker.put_both),
    "compact": (0.7, _Maker.compact),
    "lease": (1.5, _Maker.lease),
    "revoke": (0.4, _Maker.revoke),
    "watch": (1, _Maker.watch),
}
ADMINISTRATION: Table = {
    "change_users": (4, _Maker.change_users),
    "log_in": (3, _Maker.log_in),
}
RELIEF: Table = {"disarm": (1, _Maker.disarm)}
FAULTS: Table = {
    "crash": (4, _Maker.crash),
    "crash_leader": (3, _Maker.crash_leader),
    "crash_all": (0.5, _Maker.crash_all),
    "cut_power": (3, _Maker.cut_power),
    "stop": (1, _Maker.stop),
    "pause": (3, _Maker.pause),
    "drift": (1, _Maker.drift),
    "isolate": (3, _Maker.isolate),
    "partition": (3, _Maker.partition),
    "cut": (2, _Maker.cut),
    "trouble": (2, _Maker.trouble),
    "slow_way": (1, _Maker.slow_way),
    "lose_answers": (1, _Maker.lose_answers),
    "slow_disk": (1, _Maker.slow_disk),
    "fail_sync": (1, _Maker.fail_sync),
    "fill_disk": (1, _Maker.fill_disk),
    "flip_bit": (1.5, _Maker.flip_bit),
    "transfer": (2, _Maker.transfer),
    "add": (2, _Maker.add),
    "remove": (1.5, _Maker.remove),
    "replace": (1, _Maker.replace),
    "move": (0.5, _Maker.move),
}
