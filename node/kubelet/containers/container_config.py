"""From a pod's spec to what CRI wants to be told: sandbox and container configurations. Pure.

The labels are those that crictl and every other CRI tool look for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podling.kube import meta, quantity
from podling.kube.meta import Object
from podling.node.cripb import api_pb2 as cri
from podling.node.kubelet.containers import expansion
from podling.node.kubelet.planning import container_hash, pod_spec

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
SPEC_HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"

SEARCH_LIMIT = 32
"""Search domains that resolvers agree to read."""


DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class DnsDefaults:
    """The cluster's name servers and its domain."""

    servers: tuple[str, ...]
    domain: str = "cluster.local"
    port: int = DNS_PORT
    """Where the servers listen. A resolver file can name no other port than 53 (resolv.conf(5))."""

    @property
    def nameable(self) -> bool:
        """Whether a pod's resolver file can lead to them."""
        return self.port == DNS_PORT


def log_directory_name(namespace: str, name: str, uid: str) -> str:
    return f"{namespace}_{name}_{uid}"


def uid_of_log_directory(name: str) -> str:
    return name.rpartition("_")[2]


def sandbox(
    pod: Object, attempt: int, log_directory: str, dns: DnsDefaults
) -> cri.PodSandboxConfig:
    """The configuration of the pod's sandbox; `log_directory` is absolute."""
    spec = pod["spec"]
    hostname = spec.get("hostname") or meta.name(pod)[:63].rstrip("-.")
    config = cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=meta.name(pod), uid=meta.uid(pod), namespace=meta.namespace(pod), attempt=attempt
        ),
        hostname="" if pod_spec.uses_host_network(pod) else hostname,
        log_directory=log_directory,
        dns_config=dns_config(pod, dns),
        labels={**meta.labels(pod), **_identity(pod)},
        annotations=dict(meta.annotations(pod)),
    )
    for container in pod_spec.all_containers(pod):
        config.port_mappings.extend(_port(port) for port in container.get("ports") or [])
    if pod_spec.uses_host_network(pod):
        config.linux.security_context.namespace_options.network = cri.NODE
    return config


def wants_cluster_dns(pod: Object) -> bool:
    policy = pod["spec"].get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst":
        return not pod_spec.uses_host_network(pod)
    return bool(policy == "ClusterFirstWithHostNet")


def dns_config(pod: Object, dns: DnsDefaults) -> cri.DNSConfig:
    """How the pod's lookups work; an empty configuration means the host's own."""
    config = cri.DNSConfig()
    if wants_cluster_dns(pod) and dns.nameable:
        config.servers.extend(dns.servers)
        config.searches.extend(
            (f"{meta.namespace(pod)}.svc.{dns.domain}", f"svc.{dns.domain}", dns.domain)
        )
        config.options.append("ndots:5")
    own = pod["spec"].get("dnsConfig") or {}
    config.servers.extend(s for s in own.get("nameservers") or [] if s not in config.servers)
    config.searches.extend(s for s in own.get("searches") or [] if s not in config.searches)
    del config.searches[SEARCH_LIMIT:]
    for option in own.get("options") or []:
        for earlier in [o for o in config.options if o.partition(":")[0] == option["name"]]:
            config.options.remove(earlier)
        value = option.get("value")
        config.options.append(f"{option['name']}:{value}" if value else option["name"])
    return config


def container(
    pod: Object,
    spec: Object,
    attempt: int,
    environment: Mapping[str, str],
    mounts: Sequence[cri.Mount],
) -> cri.ContainerConfig:
    """The configuration of one container of the pod."""
    name = spec["name"]
    config = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=name, attempt=attempt),
        image=cri.ImageSpec(
            image=spec.get("image", ""), user_specified_image=spec.get("image", "")
        ),
        command=[expansion.expand(word, environment) for word in spec.get("command") or []],
        args=[expansion.expand(word, environment) for word in spec.get("args") or []],
        working_dir=spec.get("workingDir", ""),
        envs=[cri.KeyValue(key=key, value=value) for key, value in environment.items()],
        mounts=mounts,
        labels={**_identity(pod), CONTAINER_NAME: name},
        annotations={
            SPEC_HASH: container_hash.spec_hash(spec),
            RESTART_COUNT: str(attempt),
            GRACE_PERIOD: str(pod["spec"].get("terminationGracePeriodSeconds", 30)),
        },
        log_path=f"{name}/{attempt}.log",
        stdin=bool(spec.get("stdin")),
        stdin_once=bool(spec.get("stdinOnce")),
        tty=bool(spec.get("tty")),
    )
    _resources(spec, config.linux.resources)
    _security(pod, spec, config.linux.security_context)
    return config


def _identity(pod: Object) -> dict[str, str]:
    return {
        POD_NAME: meta.name(pod),
        POD_NAMESPACE: meta.namespace(pod),
        POD_UID: meta.uid(pod),
    }


def _port(port: Object) -> cri.PortMapping:
    return cri.PortMapping(
        protocol=cri.Protocol.Value(port.get("protocol", "TCP")),
        container_port=port["containerPort"],
        host_port=port.get("hostPort", 0),
        host_ip=port.get("hostIP", ""),
    )


def _resources(spec: Object, resources: cri.LinuxContainerResources) -> None:
    """CPU as shares (1024 a core) and quota in a period of 100 ms; memory in bytes."""
    requests = spec.get("resources", {}).get("requests", {})
    limits = spec.get("resources", {}).get("limits", {})
    millis = quantity.parse(requests.get("cpu") or limits.get("cpu") or "0").milli_value()
    resources.cpu_shares = max(2, millis * 1024 // 1000)
    if "cpu" in limits:
        resources.cpu_period = 100_000
        resources.cpu_quota = max(1000, quantity.parse(limits["cpu"]).milli_value() * 100)
    if "memory" in limits:
        resources.memory_limit_in_bytes = quantity.parse(limits["memory"]).value()


def _security(pod: Object, spec: Object, context: cri.LinuxContainerSecurityContext) -> None:
    of_pod = pod["spec"].get("securityContext") or {}
    own = spec.get("securityContext") or {}
    merged = {**of_pod, **own}
    if merged.get("runAsUser") is not None:
        context.run_as_user.value = merged["runAsUser"]
    if merged.get("runAsGroup") is not None:
        context.run_as_group.value = merged["runAsGroup"]
    context.supplemental_groups.extend(of_pod.get("supplementalGroups") or [])
    context.privileged = bool(own.get("privileged"))
    context.readonly_rootfs = bool(own.get("readOnlyRootFilesystem"))
    context.no_new_privs = own.get("allowPrivilegeEscalation") is False
    if pod_spec.uses_host_network(pod):
        context.namespace_options.network = cri.NODE


_DIGEST = re.compile(r"@[a-z0-9+._-]+:[0-9a-fA-F]+$")


def pull_policy(spec: Object) -> str:
    """`imagePullPolicy`, defaulted as the API server does."""
    explicit = spec.get("imagePullPolicy")
    if explicit:
        return str(explicit)
    image = spec.get("image", "")
    if _DIGEST.search(image):
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"
