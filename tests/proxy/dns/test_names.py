"""Query names, form by form."""

import pytest

from podling.proxy.dns import names
from podling.proxy.dns.names import parse


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web.default.svc.cluster.local", names.ServiceName("default", "web")),
        ("web.default.svc.cluster.local.", names.ServiceName("default", "web")),
        ("WEB.Default.SVC.Cluster.Local", names.ServiceName("default", "web")),
        ("db-0.db.default.svc.cluster.local", names.EndpointName("default", "db", "db-0")),
        (
            "_http._tcp.web.default.svc.cluster.local",
            names.PortName("default", "web", "http", "tcp"),
        ),
        ("127-23-65-2.default.pod.cluster.local", names.PodAddress("127.23.65.2")),
        ("dns-version.cluster.local", names.Version()),
        ("9.0.23.127.in-addr.arpa", names.Reverse("127.23.0.9")),
        ("cluster.local", names.Parent()),
        ("svc.cluster.local", names.Parent()),
        ("default.svc.cluster.local", names.Parent("default")),
        ("web.default.cluster.local", names.Unknown()),
        ("a.b.c.d.svc.cluster.local", names.Unknown()),
        ("999-1-1-1.default.pod.cluster.local", names.Unknown()),
        ("example.org", names.Foreign()),
        ("notcluster.local", names.Foreign()),
        ("web", names.Foreign()),
        ("", names.Foreign()),
        ("x.in-addr.arpa", names.Foreign()),
    ],
)
def test_a_name_asks_for(name: str, expected: names.Request) -> None:
    assert parse(name, "cluster.local") == expected
