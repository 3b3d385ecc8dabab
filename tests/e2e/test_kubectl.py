"""The real kubectl against a whole cluster."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from podling.launcher.images import ImageTable
from podling.testing.cluster import ClusterNamespace, KubectlError, TestCluster
from tests.e2e.conftest import install_guestbook, service_url
from tests.e2e.waiting import eventually, fetch

pytestmark = [pytest.mark.e2e, pytest.mark.podling(replicas=3, nodes=3)]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: talker, labels: {app: talker}}
spec:
  containers:
    - name: main
      image: busybox
      command: [sh, -c, "n=0; while true; do n=$((n+1)); echo line $n; sleep 0.1; done"]
  terminationGracePeriodSeconds: 0
"""


@pytest.fixture
def shop(podling_namespace: ClusterNamespace) -> Iterator[ClusterNamespace]:
    """A namespace with the guestbook in it."""
    install_guestbook(podling_namespace.cluster, podling_namespace.name)
    yield podling_namespace


def test_all_nodes_are_ready(podling_cluster: TestCluster) -> None:
    podling_cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=80s")
    assert podling_cluster.kubectl("get", "nodes").count(" Ready ") == 3


def test_resources_are_listed_with_their_short_names(podling_cluster: TestCluster) -> None:
    listed = podling_cluster.kubectl("api-resources")
    for line in ("deployments", "pods", "services", "endpointslices", "leases"):
        assert line in listed
    assert "deploy" in listed.split()


def test_the_guestbook_answers_and_remembers(shop: ClusterNamespace) -> None:
    url = service_url(shop.cluster, shop.name, "frontend")
    eventually(lambda: "Guestbook" in fetch(url), 60, lambda: f"{url} to answer")
    post = ["curl", "-sSf", "-d", "name=Ada&text=hello", "-o", "/dev/null", url]
    eventually(
        lambda: subprocess.run(post, check=False, timeout=60).returncode == 0,
        60,
        lambda: "an entry to be taken",
    )
    assert "Ada" in fetch(url)


def test_a_named_command_runs_as_an_image_and_binds_its_pods_address(
    podling_namespace: ClusterNamespace,
) -> None:
    table = ImageTable(podling_namespace.cluster.launcher.layout)
    table.add("web:1", (sys.executable, "-m", "http.server", "8080", "--bind", "$(POD_IP)"))
    podling_namespace.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    podling_namespace.kubectl("expose", "deployment", "web", "--port=8080")
    url = service_url(podling_namespace.cluster, podling_namespace.name, "web")
    eventually(lambda: "Directory listing" in fetch(url), 60, lambda: f"{url} to answer")


def test_pods_are_spread_and_can_be_described(shop: ClusterNamespace) -> None:
    pods = json.loads(shop.kubectl("get", "pods", "-l", "tier=frontend", "-o", "json"))["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3

    def told() -> bool:
        text = shop.kubectl("describe", "pod", pods[0]["metadata"]["name"])
        return "Successfully assigned" in text and "Started" in text

    eventually(told, 60, lambda: "the events of the pod")


def test_scaling_is_followed_by_the_pods(shop: ClusterNamespace) -> None:
    shop.kubectl("scale", "deployment/frontend", "--replicas=5")
    shop.kubectl("rollout", "status", "deployment/frontend", "--timeout=80s")
    assert shop.kubectl("get", "deployment", "frontend").split("\n")[1].split()[1] == "5/5"
    shop.kubectl("scale", "deployment/frontend", "--replicas=1")
    shop.kubectl(
        "wait", "--for=jsonpath={.status.replicas}=1", "deployment/frontend", "--timeout=80s"
    )


def test_an_image_is_rolled_out_and_undone(shop: ClusterNamespace) -> None:
    def image() -> str:
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        return shop.kubectl("get", "deployment", "frontend", "-o", path)

    shop.kubectl("set", "image", "deployment/frontend", "frontend=guestbook-frontend:2")
    shop.kubectl("rollout", "status", "deployment/frontend", "--timeout=80s")
    assert image() == "guestbook-frontend:2"
    shop.kubectl("rollout", "undo", "deployment/frontend")
    shop.kubectl("rollout", "status", "deployment/frontend", "--timeout=80s")
    assert image() == "guestbook-frontend:1"


def test_logs_are_followed(podling_namespace: ClusterNamespace) -> None:
    podling_namespace.kubectl("apply", "-f", "-", stdin=POD)
    podling_namespace.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=80s")
    cluster = podling_namespace.cluster
    command = cluster.kubectl_command("-n", podling_namespace.name, "logs", "-f", "talker")
    with subprocess.Popen(
        command, env=cluster.kubectl_environment(), stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        lines = [follower.stdout.readline().strip() for _ in range(8)]
        follower.kill()
    assert lines == [f"line {n}" for n in range(1, 9)]
    assert podling_namespace.kubectl("logs", "talker", "--tail=1").startswith("line ")


def test_changes_are_watched(podling_namespace: ClusterNamespace) -> None:
    cluster = podling_namespace.cluster
    command = cluster.kubectl_command(
        "-n", podling_namespace.name, "get", "configmap", "-w", "-o", "name"
    )
    with subprocess.Popen(
        command, env=cluster.kubectl_environment(), stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        seen = []
        for n in range(3):
            podling_namespace.kubectl("create", "configmap", f"number-{n}")
        while len(seen) < 3:
            line = watcher.stdout.readline().strip()
            assert watcher.poll() is None, "it ended"
            if "number" in line:
                seen.append(line)
        watcher.kill()
    assert seen == [f"configmap/number-{n}" for n in range(3)]


def test_labels_are_set_and_selected_by(podling_namespace: ClusterNamespace) -> None:
    podling_namespace.kubectl("create", "configmap", "settings", "--from-literal=a=b")
    podling_namespace.kubectl("label", "configmap", "settings", "team=blue")
    found = podling_namespace.kubectl("get", "configmap", "-l", "team in (blue,red)", "-o", "name")
    assert found.split() == ["configmap/settings"]
    podling_namespace.kubectl("label", "configmap", "settings", "team-")
    found = podling_namespace.kubectl("get", "configmap", "-l", "team", "-o", "name")
    assert found.split() == []


def test_deleting_a_deployment_takes_its_pods(shop: ClusterNamespace) -> None:
    shop.kubectl("delete", "deployment", "storage", "--cascade=foreground", "--timeout=80s")
    eventually(
        lambda: shop.kubectl("get", "pods", "-l", "tier=storage", "-o", "name") == "",
        60,
        lambda: "the pods of storage to go: " + shop.kubectl("get", "pods"),
    )


def test_applying_again_changes_nothing(shop: ClusterNamespace) -> None:
    version = "jsonpath={.metadata.resourceVersion}"
    before = shop.kubectl("get", "service", "frontend", "-o", version)
    install_guestbook(shop.cluster, shop.name)
    assert shop.kubectl("get", "service", "frontend", "-o", version) == before


def test_a_secret_reaches_a_pod(podling_namespace: ClusterNamespace) -> None:
    podling_namespace.kubectl("create", "secret", "generic", "word", "--from-literal=word=xyzzy")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "reader"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "main",
                    "image": "busybox",
                    "command": ["sh", "-c", "echo the word is $(WORD); exit 3"],
                    "env": [
                        {
                            "name": "WORD",
                            "valueFrom": {"secretKeyRef": {"name": "word", "key": "word"}},
                        }
                    ],
                }
            ],
        },
    }
    podling_namespace.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    podling_namespace.kubectl(
        "wait", "--for=jsonpath={.status.phase}=Failed", "pod/reader", "--timeout=80s"
    )
    assert podling_namespace.kubectl("logs", "reader") == "the word is xyzzy\n"
    code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    assert podling_namespace.kubectl("get", "pod", "reader", "-o", code) == "3"


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("apply", "-f", "-"), "kind: [", "error parsing"),
        (("apply", "-f", "-"), "apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}", "no matches"),
        (("create", "configmap", "Bad_Name"), None, "a lowercase RFC 1123 subdomain"),
        (("get", "nonsense"), None, "the server doesn't have a resource type"),
        (("get", "pod", "nobody"), None, 'pods "nobody" not found'),
        (("scale", "deployment/nobody", "--replicas=2"), None, "not found"),
    ],
)
def test_a_mistake_is_told(
    podling_namespace: ClusterNamespace, arguments: tuple[str, ...], stdin: str | None, said: str
) -> None:
    with pytest.raises(KubectlError, match=said):
        podling_namespace.kubectl(*arguments, stdin=stdin)


def test_a_namespace_that_does_not_exist_is_named(podling_cluster: TestCluster) -> None:
    with pytest.raises(KubectlError, match='namespaces "nowhere" not found'):
        podling_cluster.kubectl("--namespace", "nowhere", "create", "configmap", "x")
