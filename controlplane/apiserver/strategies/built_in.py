"""The strategies of the built-in kinds."""

from collections.abc import Mapping
from dataclasses import dataclass

from podling.controlplane.apiserver.strategies.cluster import (
    LeaseStrategy,
    NamespaceStrategy,
    NodeStrategy,
)
from podling.controlplane.apiserver.strategies.configuration import (
    ConfigMapStrategy,
    SecretStrategy,
    ServiceAccountStrategy,
)
from podling.controlplane.apiserver.strategies.endpoint_slices import EndpointSliceStrategy
from podling.controlplane.apiserver.strategies.events import EventStrategy
from podling.controlplane.apiserver.strategies.pods import PodStrategy
from podling.controlplane.apiserver.strategies.services import ServiceStrategy
from podling.controlplane.apiserver.strategies.strategy import Strategy
from podling.controlplane.apiserver.strategies.workloads import (
    DeploymentStrategy,
    ReplicaSetStrategy,
)
from podling.kube import kinds
from podling.kube.kinds import Kind


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """What of validation depends on how the cluster is set up."""

    allow_loopback_endpoints: bool = True
    """Pods of the loopback network, the default one, have addresses in 127.0.0.0/8, which are
    refused as endpoints everywhere else."""


def build_strategies(config: StrategyConfig) -> Mapping[Kind, Strategy]:
    return {
        kinds.NAMESPACE: NamespaceStrategy(kinds.NAMESPACE),
        kinds.NODE: NodeStrategy(kinds.NODE),
        kinds.POD: PodStrategy(kinds.POD),
        kinds.SERVICE: ServiceStrategy(kinds.SERVICE),
        kinds.ENDPOINT_SLICE: EndpointSliceStrategy(
            kinds.ENDPOINT_SLICE, allow_loopback=config.allow_loopback_endpoints
        ),
        kinds.REPLICA_SET: ReplicaSetStrategy(kinds.REPLICA_SET),
        kinds.DEPLOYMENT: DeploymentStrategy(kinds.DEPLOYMENT),
        kinds.CONFIG_MAP: ConfigMapStrategy(kinds.CONFIG_MAP),
        kinds.SECRET: SecretStrategy(kinds.SECRET),
        kinds.SERVICE_ACCOUNT: ServiceAccountStrategy(kinds.SERVICE_ACCOUNT),
        kinds.EVENT: EventStrategy(kinds.EVENT),
        kinds.LEASE: LeaseStrategy(kinds.LEASE),
    }


STRATEGIES = build_strategies(StrategyConfig())
