"""What a store is told when it is built. Durations are in seconds, sizes in bytes."""

from dataclasses import dataclass

from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.auth import tokens

DEFAULT_QUOTA = 2 * 1024**3
NO_QUOTA = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Bounds and intervals; the defaults are etcd's where it has the same."""

    max_request_bytes: int = 1536 * 1024
    """Of one replicated command (etcd: --max-request-bytes)."""
    max_txn_ops: int = 128
    """In each list of a transaction (etcd: --max-txn-ops); 16 times as many in all of it."""
    quota_bytes: int = 0
    """Size beyond which only deletes and compaction are taken (etcd: --quota-backend-bytes). 0: the
    default, 2 GiB; negative: none."""
    max_pending_bytes: int = 4 * 1024**2
    """What waits in memory for one slow watcher; beyond it, it reads from the history later."""
    request_timeout: float = 7.0
    """How long a read or write may take before the caller is told that it timed out."""
    min_lease_ttl: int = 2
    """Shorter leases are granted this long; above the election timeout, or no client could renew
    in time when the leader changes."""
    housekeeping_interval: float = 0.2
    """How often expired leases and compacted history are looked for."""
    progress_interval: float = 600.0
    """Between two reports to a watch that asked for them and sees no events."""
    command_version: int = commands.VERSION
    """The newest version of replicated commands that this member understands. Set lower than the
    program's, it is as a member that has not been upgraded yet."""
    token_ttl: float = tokens.TTL
    """How long after its last use a token is good (etcd: --auth-token-ttl)."""
    bcrypt_cost: int = 10
    """Doublings of the work that hashing a password takes (etcd: --bcrypt-cost)."""
    corrupt_check_interval: float = 0.0
    """How often the leader has the members compare their keys (etcd: --corrupt-check-time); 0:
    never."""

    @property
    def quota(self) -> int:
        """What `quota_bytes` comes to, in bytes."""
        return NO_QUOTA if self.quota_bytes < 0 else self.quota_bytes or DEFAULT_QUOTA
