from collections.abc import Mapping

import pytest

from podling.controlplane.apiserver.request import authn, authz, routes
from podling.controlplane.apiserver.request.authn import User

ADMIN = User("kubernetes-admin", (authn.MASTERS, authn.AUTHENTICATED))
SCHEDULER = User("system:kube-scheduler", (authn.AUTHENTICATED,))
CONTROLLERS = User("system:kube-controller-manager", (authn.AUTHENTICATED,))
NODE = User("system:node:node-1", (authn.NODES, authn.AUTHENTICATED))
SOMEBODY = User("somebody", (authn.AUTHENTICATED,))
ANONYMOUS = authn.ANONYMOUS_USER

PODS = "/api/v1/namespaces/web/pods"
MINE, OTHERS = f"{PODS}/mine", f"{PODS}/others"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NO_QUERY: Mapping[str, str] = {}

bound = {("web", "mine"): "node-1", ("web", "others"): "node-2"}
authorizer = authz.SystemAuthorizer(lambda namespace, name: bound.get((namespace, name)))


def ask(user: User, method: str, path: str) -> authz.Decision:
    return authorizer.authorize(authz.attributes(user, routes.parse(method, path, NO_QUERY)))


@pytest.mark.parametrize(
    ("user", "method", "path"),
    [
        (ADMIN, "DELETE", f"{PODS}/mine"),
        (ADMIN, "GET", "/metrics"),
        (ANONYMOUS, "GET", "/healthz"),
        (ANONYMOUS, "GET", "/readyz/store"),
        (ANONYMOUS, "GET", "/version"),
        (SOMEBODY, "GET", "/apis/apps/v1"),
        (SOMEBODY, "GET", "/openapi/v3"),
        (SOMEBODY, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        (SOMEBODY, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        (SCHEDULER, "GET", "/api/v1/pods"),
        (SCHEDULER, "POST", f"{MINE}/binding"),
        (SCHEDULER, "PATCH", f"{MINE}/status"),
        (SCHEDULER, "POST", "/api/v1/namespaces/web/events"),
        (SCHEDULER, "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/s"),
        (CONTROLLERS, "POST", PODS),
        (CONTROLLERS, "PUT", "/api/v1/namespaces/web/finalize"),
        (CONTROLLERS, "DELETE", "/api/v1/namespaces/web/secrets/s"),
        (CONTROLLERS, "POST", "/apis/apps/v1/namespaces/web/replicasets"),
        (NODE, "GET", "/api/v1/services"),
        (NODE, "GET", "/api/v1/namespaces/web/secrets/s"),
        (NODE, "POST", "/api/v1/nodes"),
        (NODE, "PATCH", "/api/v1/nodes/node-1/status"),
        (NODE, "POST", LEASES),
        (NODE, "PUT", f"{LEASES}/node-1"),
        (NODE, "PATCH", f"{MINE}/status"),
        (NODE, "DELETE", MINE),
        (NODE, "PATCH", f"{PODS}/not-in-the-cache-yet/status"),
    ],
)
def test_what_the_system_needs_is_allowed(user: User, method: str, path: str) -> None:
    assert ask(user, method, path).allowed


@pytest.mark.parametrize(
    ("user", "method", "path"),
    [
        (ANONYMOUS, "GET", "/api"),
        (ANONYMOUS, "POST", "/version"),
        (ANONYMOUS, "GET", "/healthzx"),
        (ANONYMOUS, "GET", PODS),
        (ANONYMOUS, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        (SOMEBODY, "GET", PODS),
        (SOMEBODY, "GET", "/metrics"),
        (SCHEDULER, "DELETE", "/api/v1/namespaces/web/secrets/s"),
        (SCHEDULER, "POST", PODS),
        (NODE, "PATCH", MINE),
        (NODE, "POST", f"{MINE}/binding"),
        (NODE, "PATCH", f"{OTHERS}/status"),
        (NODE, "DELETE", OTHERS),
        (NODE, "PATCH", "/api/v1/nodes/node-2/status"),
        (NODE, "DELETE", "/api/v1/nodes/node-1"),
        (NODE, "PUT", f"{LEASES}/node-2"),
        (NODE, "GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/node-1"),
        (User("nobody", (authn.NODES, authn.AUTHENTICATED)), "GET", PODS),
    ],
)
def test_the_rest_is_refused(user: User, method: str, path: str) -> None:
    assert not ask(user, method, path).allowed


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        (
            "GET",
            PODS,
            'pods is forbidden: User "somebody" cannot list resource "pods" in API group "" '
            'in the namespace "web"',
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/web/deployments/d/status",
            'deployments.apps "d" is forbidden: User "somebody" cannot patch resource '
            '"deployments/status" in API group "apps" in the namespace "web"',
        ),
        (
            "GET",
            "/api/v1/nodes",
            'nodes is forbidden: User "somebody" cannot list resource "nodes" in API group "" '
            "at the cluster scope",
        ),
        (
            "GET",
            "/api/v1/namespaces/web",
            'namespaces "web" is forbidden: User "somebody" cannot get resource "namespaces" '
            'in API group "" in the namespace "web"',
        ),
        ("GET", "/metrics", 'forbidden: User "somebody" cannot get path "/metrics"'),
        (
            "GET",
            "/apis/none/v1/widgets",
            'widgets.none is forbidden: User "somebody" cannot list resource "widgets" '
            'in API group "none" at the cluster scope',
        ),
    ],
)
def test_a_refusal_says_who_may_not_do_what_and_where(method: str, path: str, text: str) -> None:
    asked = authz.attributes(SOMEBODY, routes.parse(method, path, NO_QUERY))
    error = authz.forbidden(asked)
    assert error.message == text
    assert (error.code, error.reason) == (403, "Forbidden")


def test_a_reason_is_added_to_the_refusal() -> None:
    asked = authz.attributes(NODE, routes.parse("PATCH", f"{OTHERS}/status", NO_QUERY))
    decision = authorizer.authorize(asked)
    text = authz.forbidden(asked, decision.reason).message
    assert text.endswith("node 'node-1' can only change pods with spec.nodeName set to itself")
