from typing import Any

from podling.controlplane.apiserver.request import authn
from podling.controlplane.apiserver.request.authn import User


def certificate(**subject: str) -> dict[str, Any]:
    return {"subject": tuple(((attribute, value),) for attribute, value in subject.items())}


def test_a_certificate_names_the_user_and_the_groups() -> None:
    found = authn.identify(certificate(commonName="admin", organizationName="system:masters"))
    assert found == User("admin", ("system:masters", "system:authenticated"))


def test_without_a_name_the_caller_is_anonymous() -> None:
    assert authn.identify(None) == authn.ANONYMOUS_USER
    assert authn.identify(certificate(organizationName="system:masters")) == authn.ANONYMOUS_USER


def test_only_a_member_of_the_nodes_is_a_node() -> None:
    assert User("system:node:n-1", ("system:nodes",)).node_name == "n-1"
    assert User("system:node:n-1").node_name == ""
    assert User("n-1", ("system:nodes",)).node_name == ""
