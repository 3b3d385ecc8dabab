"""Which kind is printed how."""

from collections.abc import Mapping

from podling.controlplane.apiserver.tables import cluster, events, networking, pods, workloads
from podling.controlplane.apiserver.tables.columns import Printer
from podling.kube import kinds
from podling.kube.kinds import Kind

PRINTERS: Mapping[Kind, Printer] = {
    kinds.NAMESPACE: cluster.NAMESPACES,
    kinds.NODE: cluster.NODES,
    kinds.POD: pods.PODS,
    kinds.SERVICE: networking.SERVICES,
    kinds.ENDPOINT_SLICE: networking.ENDPOINT_SLICES,
    kinds.REPLICA_SET: workloads.REPLICA_SETS,
    kinds.DEPLOYMENT: workloads.DEPLOYMENTS,
    kinds.CONFIG_MAP: cluster.CONFIG_MAPS,
    kinds.SECRET: cluster.SECRETS,
    kinds.SERVICE_ACCOUNT: cluster.SERVICE_ACCOUNTS,
    kinds.EVENT: events.EVENTS,
    kinds.LEASE: cluster.LEASES,
}
