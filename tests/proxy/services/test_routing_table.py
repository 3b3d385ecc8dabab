"""Services and EndpointSlices -> routes."""

from podling.proxy.services.routing_table import Endpoint, Frontend, build, changes
from tests.proxy.objects import endpoint, endpoint_slice, service

WEB = Frontend("127.23.0.9", 80)


def test_ready_endpoints_of_the_named_port_are_routed_to() -> None:
    slices = [endpoint_slice([endpoint("127.23.66.2"), endpoint("127.23.65.2")])]
    route = build([service()], slices)[WEB]
    assert route.ready == (Endpoint("127.23.65.2", 8080), Endpoint("127.23.66.2", 8080))
    assert route.service == "default/web"


def test_an_endpoint_that_is_not_ready_is_left_out() -> None:
    slices = [endpoint_slice([endpoint("127.23.65.2", ready=False)])]
    assert build([service()], slices)[WEB].ready == ()


def test_conditions_that_are_not_told_count_as_ready() -> None:
    slices = [endpoint_slice([{"addresses": ["127.23.65.2"]}])]
    assert build([service()], slices)[WEB].ready == (Endpoint("127.23.65.2", 8080),)


def test_an_endpoint_that_drains_is_kept_for_when_nobody_is_ready() -> None:
    leaving = endpoint("127.23.65.2", ready=False, serving=True, terminating=True)
    route = build([service()], [endpoint_slice([leaving])])[WEB]
    assert (route.ready, route.draining) == ((), (Endpoint("127.23.65.2", 8080),))


def test_a_service_without_endpoints_is_listened_for_all_the_same() -> None:
    assert build([service()], [])[WEB].ready == ()


def test_slices_of_other_services_and_namespaces_do_not_count() -> None:
    other = endpoint_slice([endpoint("127.23.65.2")])
    other["metadata"]["namespace"] = "elsewhere"
    slices = [other, endpoint_slice([endpoint("127.23.65.3")], name="other")]
    assert build([service()], slices)[WEB].ready == ()


def test_headless_and_external_services_and_udp_have_no_frontend() -> None:
    udp = [{"name": "dns", "port": 53, "protocol": "UDP"}]
    services = [
        service("headless", "None"),
        service("external", "", type="ExternalName"),
        service("udp", ports=udp),
    ]
    assert build(services, []) == {}


def test_session_affinity_has_upstreams_default_time() -> None:
    assert build([service(sessionAffinity="ClientIP")], [])[WEB].affinity_seconds == 10800


def test_only_frontends_that_come_or_go_are_opened_or_closed() -> None:
    old = build([service(), service("gone", "127.23.0.10")], [])
    new = build([service(), service("new", "127.23.0.11")], [endpoint_slice([endpoint("1.1.1.1")])])
    todo = changes(old, new)
    assert todo.opened == (Frontend("127.23.0.11", 80),)
    assert todo.closed == (Frontend("127.23.0.10", 80),)
