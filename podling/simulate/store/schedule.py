"""What happens in a simulation, and when: data that can be saved, replayed, and cut short."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple, Self

FORMAT = 1


class UnknownSchedule(ValueError):
    """A file that is no schedule, or one of another version of this program."""


class Event(NamedTuple):
    """One thing that is done. What it does is found by its verb (`world`)."""

    at: float
    """Seconds of true time."""
    verb: str
    details: Mapping[str, Any]
    """Arguments of the verb; numbers and texts only."""

    def __str__(self) -> str:
        details = " ".join(f"{name}={value}" for name, value in self.details.items())
        return f"{self.at:.3f} {self.verb} {details}".rstrip()


@dataclass(frozen=True, slots=True)
class Settings:
    """What stays the same for a whole run. Durations are in seconds."""

    members: int = 3
    spares: int = 0
    """Members that can be added; their numbers follow those of the first ones."""
    snapshot_count: int = 1000
    catch_up_entries: int = 100
    segment_bytes: int = 16 * 1024 * 1024
    heartbeat_interval: float = 0.1
    election_timeout: float = 1.0
    network_delay: tuple[float, float] = (0.0005, 0.003)
    disk_latency: tuple[float, float] = (0.0002, 0.002)
    max_inflight_messages: int = 256
    quota_bytes: int = 0
    """Of the store; beyond it nothing is added. 0: more than it ever has."""
    corrupt_check_interval: float = 0.0
    """How often the members compare their keys; 0: never."""
    drift: tuple[float, ...] = ()
    """How fast the clock of each member runs, as a multiple of true time; 1 if not told."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All of a run but the store's code: the same schedule, the same run."""

    seed: int
    """Of every die that is thrown while it runs."""
    settings: Settings = field(default_factory=Settings)
    events: Sequence[Event] = ()
    """In order of time."""

    def with_events(self, events: Sequence[Event]) -> Self:
        return replace(self, events=tuple(events))

    def to_json(self) -> str:
        """One event a line, for people to read and to cut."""
        head = {"format": FORMAT, "seed": self.seed, "settings": asdict(self.settings)}
        lines = ",\n".join(
            "  " + json.dumps({"at": each.at, "do": each.verb, **each.details})
            for each in self.events
        )
        return json.dumps(head)[:-1] + ', "events": [\n' + lines + "\n]}\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises UnknownSchedule."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise UnknownSchedule(f"schedule of format {data['format']}, not {FORMAT}")
            settings: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in data["settings"].items()
            }
            events = [
                Event(each.pop("at"), each.pop("do"), each) for each in map(dict, data["events"])
            ]
            return cls(data["seed"], Settings(**settings), tuple(events))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnknownSchedule(f"not a schedule of a simulation: {error}") from error
