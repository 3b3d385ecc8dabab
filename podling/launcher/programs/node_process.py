"""The processes of one node: its launcher, and its agent with runtime, kubelet, proxy and DNS."""

import os
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector

from podling.aiokit import components, ids
from podling.aiokit.clock import system_wall_clock
from podling.aiokit.collector import ScheduledCollector
from podling.aiokit.components import Component, Stop
from podling.aiokit.loop_lag import LoopLag
from podling.kube.client import Client
from podling.kube.event_recorder import EventRecorder
from podling.kube.informer import InformerFactory
from podling.launcher import tls
from podling.launcher.cluster_file import Cluster, NodeEntry, launcher_of
from podling.launcher.forking import fork_client
from podling.launcher.forking.shared_listeners import SharedListeners
from podling.launcher.images import ImageTable
from podling.launcher.layout import Layout
from podling.launcher.timings import PROFILES
from podling.node.kubelet.kubelet import Kubelet, KubeletConfig
from podling.node.kubelet.planning.restart_policy import DelayRange
from podling.node.runtime.cri.pod_network import LoopbackNetwork
from podling.node.runtime.cri.runtime_server import RuntimeConfig, RuntimeServer
from podling.node.runtime.launcher.main import LauncherConfig
from podling.proxy.dns.dns_server import DnsConfig, DnsServer
from podling.proxy.dns.upstream import Upstream, servers_of
from podling.proxy.services.service_proxy import ServiceProxy

RESTART_BACKOFF_CAP = 300.0
LEASE_RENEWALS = 4
"""A node's lease lasts this many renewal intervals (upstream: 40 s and 10 s)."""


def launcher_config(layout: Layout, node: NodeEntry) -> LauncherConfig:
    return LauncherConfig(
        state_dir=layout.launcher_state(node.name),
        socket_path=layout.socket(launcher_of(node.name)),
    )


async def serve(layout: Layout, cluster: Cluster, node: NodeEntry) -> int:
    """Run the node agent until it is told to stop; pods are left running."""
    stop = Stop()
    dice = ids.system_dice()
    transport = tls.replicas_transport(layout, cluster, node.name, cluster.nodes.index(node))
    client = Client(
        transport,
        user_agent=f"podling-node/{node.name}",
        request_timeout=PROFILES[cluster.timings].node_request_timeout,
    )
    informers = InformerFactory(client, dice, on_death=stop.fail)
    events = EventRecorder(client, "service-proxy", system_wall_clock, host=node.name)
    listeners = SharedListeners(layout.socket(fork_client.NAME))
    metrics = CollectorRegistry()
    ProcessCollector(registry=metrics)
    parts: list[Component] = [
        LoopLag(metrics),
        _runtime(layout, node),
        informers,
        Kubelet(
            _kubelet_config(layout, cluster, node),
            client,
            informers,
            system_wall_clock,
            dice,
            stop.fail,
            metrics,
        ),
        events,
        ServiceProxy(informers, listeners, events, stop.fail),
        DnsServer(
            DnsConfig(node.address, node.dns_port),
            informers,
            Upstream(servers_of(Path("/etc/resolv.conf"))),
            stop.fail,
        ),
        ScheduledCollector(metrics),
    ]
    try:
        return await components.run(parts, stop)
    finally:
        await transport.close()


def _runtime(layout: Layout, node: NodeEntry) -> RuntimeServer:
    return RuntimeServer(
        RuntimeConfig(
            socket_path=layout.socket(f"{node.name}-cri"),
            state_dir=layout.data(node.name) / "runtime",
            launcher_socket=layout.socket(launcher_of(node.name)),
            images=ImageTable(layout),
            environment={"PATH": _search_path()},
        ),
        LoopbackNetwork(),
        system_wall_clock,
        ids.random_uuid,
        ids.system_dice(),
    )


def _search_path() -> str:
    """Pods find the programs of Podling's own environment first, `python3` above all."""
    own = str(Path(sys.executable).parent)
    return os.pathsep.join([own, os.environ.get("PATH", os.defpath)])


def _kubelet_config(layout: Layout, cluster: Cluster, node: NodeEntry) -> KubeletConfig:
    timings = PROFILES[cluster.timings]
    return KubeletConfig(
        node_name=node.name,
        runtime_socket=str(layout.socket(f"{node.name}-cri")),
        root_directory=layout.data(node.name) / "kubelet",
        log_directory=layout.data(node.name) / "pod-logs",
        server_certificate=layout.certificate(node.name),
        server_key=layout.key(node.name),
        client_authority=layout.certificate("ca"),
        addresses=(node.address,),
        port=node.kubelet_port,
        cluster_dns=(node.address,),
        cluster_dns_port=node.dns_port,
        lease_duration=LEASE_RENEWALS * timings.node_lease_renew_interval,
        lease_renew_interval=timings.node_lease_renew_interval,
        runtime_check_interval=timings.node_lease_renew_interval,
        crash_loop=DelayRange(timings.restart_backoff, RESTART_BACKOFF_CAP),
    )
