"""What the zone answers."""

import pytest

from podling.proxy.dns import records
from podling.proxy.dns.answers import NODATA, NXDOMAIN, Answer, answer
from tests.proxy.objects import endpoint, endpoint_slice, service

ZONE = records.build(
    [
        service(),
        service("db", "None"),
        service("empty", "None"),
        service("elsewhere", "", type="ExternalName", externalName="example.org"),
    ],
    [
        endpoint_slice(
            [
                endpoint("127.23.65.2", hostname="db-0"),
                endpoint("127.23.66.2"),
                endpoint("127.23.67.2", ready=False),
            ],
            name="db",
            port=5432,
            port_name="sql",
        )
    ],
)
DOMAIN = "cluster.local"


def ask(name: str, type_: str = "A") -> Answer | None:
    return answer(f"{name}.", type_, ZONE, DOMAIN)


def data(name: str, type_: str = "A") -> list[str]:
    found = ask(name, type_)
    assert found is not None
    return [record.data for record in found.records]


def test_a_service_is_its_cluster_ip() -> None:
    assert data("web.default.svc.cluster.local") == ["127.23.0.9"]


def test_a_headless_service_is_its_ready_endpoints() -> None:
    assert data("db.default.svc.cluster.local") == ["127.23.66.2", "127.23.65.2"]


def test_an_endpoint_is_found_by_hostname_or_dashed_address() -> None:
    assert data("db-0.db.default.svc.cluster.local") == ["127.23.65.2"]
    assert data("127-23-66-2.db.default.svc.cluster.local") == ["127.23.66.2"]


def test_a_named_port_is_an_srv_record_with_its_target() -> None:
    found = ask("_http._tcp.web.default.svc.cluster.local", "SRV")
    assert found is not None
    assert [r.data for r in found.records] == ["0 100 80 web.default.svc.cluster.local."]
    assert [r.data for r in found.additional] == ["127.23.0.9"]


def test_a_headless_port_is_an_srv_record_for_each_endpoint() -> None:
    assert data("_sql._tcp.db.default.svc.cluster.local", "SRV") == [
        "0 50 5432 127-23-66-2.db.default.svc.cluster.local.",
        "0 50 5432 db-0.db.default.svc.cluster.local.",
    ]


def test_an_external_name_is_an_alias() -> None:
    assert data("elsewhere.default.svc.cluster.local") == ["example.org."]


def test_addresses_have_names() -> None:
    assert data("9.0.23.127.in-addr.arpa", "PTR") == ["web.default.svc.cluster.local."]
    assert data("2.65.23.127.in-addr.arpa", "PTR") == ["db-0.db.default.svc.cluster.local."]


def test_the_version_of_the_specification_is_told() -> None:
    assert data("dns-version.cluster.local", "TXT") == ['"1.1.0"']


@pytest.mark.parametrize(
    "name", ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]
)
def test_a_name_above_others_exists_without_data(name: str) -> None:
    assert ask(name) == NODATA


def test_a_type_that_a_name_lacks_is_no_data_rather_than_no_name() -> None:
    assert ask("web.default.svc.cluster.local", "AAAA") == NODATA


@pytest.mark.parametrize(
    "name",
    [
        "nobody.default.svc.cluster.local",
        "empty.default.svc.cluster.local",
        "web.other.svc.cluster.local",
        "other.svc.cluster.local",
        "_nope._tcp.web.default.svc.cluster.local",
        "_http._udp.web.default.svc.cluster.local",
        "db-9.db.default.svc.cluster.local",
    ],
)
def test_what_is_not_there_does_not_exist(name: str) -> None:
    assert ask(name) == NXDOMAIN


@pytest.mark.parametrize("name", ["example.org", "1.1.168.192.in-addr.arpa"])
def test_what_is_outside_is_for_upstream(name: str) -> None:
    assert ask(name) is None
