"""Who takes the next connection."""

from podling.proxy.services.balancer import STICKY_MAX, Balancer
from podling.proxy.services.routing_table import Endpoint, Route

A, B, C = (Endpoint(f"127.0.0.{n}", 80) for n in (1, 2, 3))


def route(*ready: Endpoint, draining: tuple[Endpoint, ...] = (), affinity: int = 0) -> Route:
    return Route("default/web", "http", ready, draining, affinity)


def test_connections_go_round() -> None:
    balancer = Balancer(route(A, B, C))
    assert [balancer.order("client", 0)[0] for _ in range(4)] == [A, B, C, A]


def test_every_endpoint_is_offered_for_a_second_try() -> None:
    balancer = Balancer(route(A, B, C))
    balancer.order("client", 0)
    assert balancer.order("client", 0) == (B, C, A)


def test_those_that_drain_serve_only_while_nobody_is_ready() -> None:
    balancer = Balancer(route(draining=(A,)))
    assert balancer.order("client", 0) == (A,)
    balancer.replace(route(B, draining=(A,)))
    assert balancer.order("client", 0) == (B,)


def test_nobody_at_all_is_an_empty_order() -> None:
    assert Balancer(route()).order("client", 0) == ()


def test_a_client_with_affinity_keeps_its_endpoint() -> None:
    balancer = Balancer(route(A, B, affinity=10))
    balancer.connected("client", B, 0)
    assert [balancer.order("client", 5)[0] for _ in range(3)] == [B, B, B]


def test_affinity_ends_with_its_time_or_its_endpoint() -> None:
    balancer = Balancer(route(A, B, affinity=10))
    balancer.connected("client", B, 0)
    assert balancer.order("client", 11)[0] == A
    balancer.replace(route(A, affinity=10))
    assert balancer.order("client", 1) == (A,)


def test_remembered_clients_are_bounded() -> None:
    balancer = Balancer(route(A, B, affinity=10))
    for n in range(STICKY_MAX + 1):
        balancer.connected(f"client-{n}", B, 0)
    assert balancer.order("client-0", 0) == (A, B)
    assert balancer.order(f"client-{STICKY_MAX}", 0)[0] == B
