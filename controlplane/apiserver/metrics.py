"""What the API server counts, under upstream's names where the meaning is the same."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from podling.controlplane.apiserver.request.routes import Route

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ApiMetrics:
    """One server's metrics, kept in the process's own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "apiserver_request",
            "Requests that were answered.",
            ("verb", "group", "version", "resource", "subresource", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "apiserver_request_duration_seconds",
            "Seconds until the answer began.",
            ("verb", "group", "version", "resource", "subresource"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "apiserver_current_inflight_requests",
            "Requests that are worked on.",
            ("request_kind",),
            registry=registry,
        )
        self.watches = Gauge(
            "apiserver_longrunning_requests",
            "Watches that are open.",
            ("verb",),
            registry=registry,
        )
        self.cache_revision = Gauge(
            "apiserver_watch_cache_resource_version",
            "Revision that the watch cache has come to.",
            registry=registry,
        )

    def observe(self, route: Route, status: int, seconds: float) -> None:
        """A request was answered."""
        # A path of a resource that is not served is the client's, and would make a series each.
        known = route.kind is not None
        labels = (
            route.verb if known or not route.is_resource else "other",
            route.group if known else "",
            route.version if known else "",
            route.resource if known else "",
            route.subresource if known else "",
        )
        self._requests.labels(*labels, str(status)).inc()
        self._seconds.labels(*labels).observe(seconds)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
