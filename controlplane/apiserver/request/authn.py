"""Who is asking: the subject of the peer's certificate becomes a user. Pure.

The common name is the user's name and each organisation is a group of theirs
(Kubernetes document "Authenticating: X.509 client certificates"). Trust is not decided here: the
TLS layer only hands over certificates that the cluster's authority signed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANONYMOUS = "system:anonymous"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"


@dataclass(frozen=True, slots=True)
class User:
    """One caller, for the length of one request."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def node_name(self) -> str:
        """The node that this user is the agent of; "" for everybody else."""
        if NODES in self.groups and self.name.startswith(NODE_PREFIX):
            return self.name.removeprefix(NODE_PREFIX)
        return ""


ANONYMOUS_USER = User(ANONYMOUS, (UNAUTHENTICATED,))


def identify(certificate: Mapping[str, Any] | None) -> User:
    """The user behind a verified certificate in the form of `SSLSocket.getpeercert()`.

    Without a certificate, or with one that names nobody, the caller is anonymous.
    """
    if not certificate:
        return ANONYMOUS_USER
    name, organizations = "", []
    for relative_name in certificate.get("subject", ()):
        for attribute, value in relative_name:
            if attribute == "commonName":
                name = value
            elif attribute == "organizationName":
                organizations.append(value)
    if not name:
        return ANONYMOUS_USER
    return User(name, (*organizations, AUTHENTICATED))
