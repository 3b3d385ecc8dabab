"""The time constants of a cluster, as profiles.

`local` is for a cluster on one machine, where a second is long; `upstream` has the defaults of
kube-controller-manager, kube-scheduler, kubelet and etcd.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """All in seconds; named after upstream's flags."""

    heartbeat_interval: float
    """etcd --heartbeat-interval."""
    election_timeout: float
    """etcd --election-timeout; drawn from [1, 1.5) times this."""
    lease_duration: float
    """--leader-elect-lease-duration: how long others wait for a silent leader."""
    renew_deadline: float
    """--leader-elect-renew-deadline: when a leader that cannot renew steps down."""
    retry_period: float
    """--leader-elect-retry-period."""
    node_lease_renew_interval: float
    """How often a node says that it lives."""
    node_monitor_grace_period: float
    """--node-monitor-grace-period: after how much silence a node counts as gone."""
    default_toleration: float
    """--default-not-ready-toleration-seconds, and the same for unreachable nodes."""
    node_request_timeout: float
    """How long a node waits for an API server's answer before it tries the next one."""
    restart_backoff: float
    """First delay before a crashed container is started again; doubles up to five minutes."""


PROFILES = {
    "local": Timings(
        # A message costs more processor time at rest than anything else does, and on one machine
        # none is lost on its way.
        heartbeat_interval=0.2,
        election_timeout=1.0,
        lease_duration=3.0,
        renew_deadline=2.0,
        retry_period=0.5,
        node_lease_renew_interval=1.0,
        node_monitor_grace_period=4.0,
        default_toleration=5.0,
        node_request_timeout=5.0,
        restart_backoff=1.0,
    ),
    "upstream": Timings(
        heartbeat_interval=0.1,
        election_timeout=1.0,
        lease_duration=15.0,
        renew_deadline=10.0,
        retry_period=2.0,
        node_lease_renew_interval=10.0,
        node_monitor_grace_period=50.0,
        default_toleration=300.0,
        node_request_timeout=30.0,
        restart_backoff=10.0,
    ),
}
