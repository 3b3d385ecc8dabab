"""Which endpoint takes the next connection. Pure; `now` is seconds of the event loop's clock.

Round robin, so that equal connections spread evenly and a test can say what comes next. The answer
is an order in which to try, because an endpoint may be gone before the news of it arrives.
"""

from dataclasses import dataclass, field

from podling.proxy.services.routing_table import Endpoint, Route

STICKY_MAX = 10_000
"""Client addresses remembered for each frontend; the longest silent is forgotten first."""


@dataclass(slots=True)
class Balancer:
    """The state of one frontend."""

    route: Route
    _next: int = 0
    _sticky: dict[str, tuple[Endpoint, float]] = field(default_factory=dict)
    """Client address -> its endpoint and when it last came; in order of last visits."""

    def replace(self, route: Route) -> None:
        """The endpoints changed; clients keep theirs as long as it is there."""
        self.route = route

    def order(self, client: str, now: float) -> tuple[Endpoint, ...]:
        """The endpoints to try for a connection from `client`, best first; maybe none."""
        candidates = self.route.ready or self.route.draining
        if not candidates:
            return ()
        start = self._next % len(candidates)
        self._next = start + 1
        ordered = candidates[start:] + candidates[:start]
        return self._preferring_sticky(ordered, client, now)

    def connected(self, client: str, endpoint: Endpoint, now: float) -> None:
        """Remember where the connection went, if the Service asks for that."""
        if self.route.affinity_seconds:
            self._sticky.pop(client, None)
            self._sticky[client] = (endpoint, now)
            if len(self._sticky) > STICKY_MAX:
                del self._sticky[next(iter(self._sticky))]

    def _preferring_sticky(
        self, ordered: tuple[Endpoint, ...], client: str, now: float
    ) -> tuple[Endpoint, ...]:
        endpoint, last = self._sticky.get(client, (None, 0.0))
        if endpoint not in ordered or now - last > self.route.affinity_seconds:
            return ordered
        return (endpoint, *(other for other in ordered if other != endpoint))
