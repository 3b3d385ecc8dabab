"""The flags of `podling store`: etcd's names, meanings and defaults, as one table.

The name of a field is the name of its flag, and, in capitals after ETCD_, of its environment
variable. Source: etcd's documentation, "Configuration options".
"""

from dataclasses import dataclass, field
from typing import Any

CONFIGURATION = "Configuration"
MEMBER = "Member"
CLUSTERING = "Clustering"
CLIENT_SECURITY = "Security towards clients"
PEER_SECURITY = "Security between members"
AUTHENTICATION = "Authentication"
COMPACTION = "Auto compaction"
OBSERVING = "Logs and metrics"
DISASTER = "Disaster"
WITHOUT_EFFECT = "Taken without effect"


def _flag(default: Any, section: str, text: str, *aliases: str, secret: bool = False) -> Any:
    """`aliases` are former names, without their dashes."""
    metadata = {"section": section, "help": text, "aliases": aliases}
    return field(default=default, metadata=metadata, repr=not secret)


def _idle(default: Any, text: str, *aliases: str) -> Any:
    """A flag of etcd that scripts give by habit, and that has no bearing on this program."""
    return _flag(default, WITHOUT_EFFECT, text, *aliases)


def _absent(default: Any, text: str) -> Any:
    """The same, of something that is not here: nothing but its default can be given."""
    metadata = {"section": WITHOUT_EFFECT, "help": text, "aliases": (), "only_default": True}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class StoreFlags:
    """What the command line says, unchecked. Lists are separated by commas."""

    name: str = _flag("default", MEMBER, "Name of this member, as --initial-cluster has it.")
    data_dir: str = _flag(
        "", MEMBER, "Directory of this member's data; NAME.podling if it is not given."
    )
    listen_client_urls: str = _flag(
        "http://localhost:2379",
        MEMBER,
        "URLs to listen on for clients; unix:///PATH is a socket in the file system.",
    )
    listen_peer_urls: str = _flag(
        "http://localhost:2380", MEMBER, "URLs to listen on for other members."
    )
    heartbeat_interval: int = _flag(100, MEMBER, "Milliseconds between two heartbeats of a leader.")
    election_timeout: int = _flag(
        1000, MEMBER, "Milliseconds without a leader until a member stands for election."
    )
    snapshot_count: int = _flag(10_000, MEMBER, "Committed entries between two snapshots.")
    quota_backend_bytes: int = _flag(
        0, MEMBER, "Size beyond which writes are refused with NOSPACE; 0: 2 GiB; -1: no bound."
    )
    max_request_bytes: int = _flag(1_572_864, MEMBER, "Largest request of a client.")
    max_txn_ops: int = _flag(128, MEMBER, "Most operations in a transaction.")
    watch_progress_notify_interval: str = _flag(
        "10m",
        MEMBER,
        "Time between two reports to watches that asked for them and see no events.",
        "experimental-watch-progress-notify-interval",
    )

    initial_advertise_peer_urls: str = _flag(
        "http://localhost:2380", CLUSTERING, "This member's peer URLs, as others are told."
    )
    initial_cluster: str = _flag(
        "",
        CLUSTERING,
        "All members of a new cluster: NAME=PEER-URL,...; this one alone by default.",
    )
    initial_cluster_state: str = _flag(
        "new", CLUSTERING, "`new`, or `existing` to join a cluster that has added this member."
    )
    initial_cluster_token: str = _flag(
        "etcd-cluster",
        CLUSTERING,
        "Tells this cluster from others with the same URLs.",
        secret=True,
    )
    strict_reconfig_check: bool = _flag(
        True, CLUSTERING, "Refuse changes of members that could cost the quorum."
    )
    advertise_client_urls: str = _flag(
        "http://localhost:2379", CLUSTERING, "This member's client URLs, as clients are told."
    )

    cert_file: str = _flag("", CLIENT_SECURITY, "Certificate of the server, PEM.")
    key_file: str = _flag("", CLIENT_SECURITY, "Its key.")
    trusted_ca_file: str = _flag(
        "", CLIENT_SECURITY, "Authority of the clients' certificates, which they must have then."
    )
    client_cert_auth: bool = _flag(
        False,
        CLIENT_SECURITY,
        "Demand a certificate of --trusted-ca-file from clients; its common name is the user.",
    )
    auto_tls: bool = _flag(
        False,
        CLIENT_SECURITY,
        "Serve https with a certificate made here, of DATA-DIR/tls/client-ca.crt.",
    )

    peer_cert_file: str = _flag("", PEER_SECURITY, "Certificate of this member, PEM.")
    peer_key_file: str = _flag("", PEER_SECURITY, "Its key.")
    peer_trusted_ca_file: str = _flag("", PEER_SECURITY, "Authority of the members' certificates.")
    peer_client_cert_auth: bool = _flag(
        False, PEER_SECURITY, "Demand a certificate of --peer-trusted-ca-file from members."
    )
    peer_auto_tls: bool = _flag(
        False, PEER_SECURITY, "Encrypt by --initial-cluster-token: who knows it can be a member."
    )
    peer_cert_allowed_cn: str = _flag(
        "", PEER_SECURITY, "Common name that the certificates of members must have."
    )

    auth_token: str = _flag(
        "simple",
        AUTHENTICATION,
        "Kind of tokens: `simple`, or "
        "`jwt,pub-key=FILE,priv-key=FILE,sign-method=RS512,ttl=5m`, alike on all members.",
    )
    auth_token_ttl: int = _flag(
        300, AUTHENTICATION, "Seconds after its last use until a simple token is forgotten."
    )
    bcrypt_cost: int = _flag(
        10, AUTHENTICATION, "Doublings of the work that hashing a password takes, 4 to 31."
    )

    auto_compaction_mode: str = _flag(
        "periodic", COMPACTION, "`periodic` keeps a time of history, `revision` a number."
    )
    auto_compaction_retention: str = _flag(
        "0", COMPACTION, "How much: 30m, 1h, a number of hours; or of revisions. 0: off."
    )

    listen_metrics_urls: str = _flag(
        "", OBSERVING, "URLs that answer /metrics, /health, /livez, /readyz and /version over HTTP."
    )
    logger: str = _flag("zap", OBSERVING, "Taken for etcd's sake; there is one format.")
    log_level: str = _flag("info", OBSERVING, "debug, info, warn, error, panic or fatal.")
    log_outputs: str = _flag("default", OBSERVING, "default, stderr, stdout, or files.")

    initial_corrupt_check: bool = _flag(
        False,
        DISASTER,
        "Compare this member's keys with the others' before it serves clients.",
        "experimental-initial-corrupt-check",
    )
    feature_gates: str = _flag(
        "", DISASTER, "InitialCorruptCheck=true is --initial-corrupt-check; there is no other."
    )
    corrupt_check_time: str = _flag(
        "0s",
        DISASTER,
        "Time between comparisons of the members' keys, such as 1h; 0s: never.",
        "experimental-corrupt-check-time",
    )
    force_new_cluster: bool = _flag(False, DISASTER, "Refused: see `podling store recover --help`.")

    max_snapshots: int = _idle(5, "Two snapshots are kept.")
    max_wals: int = _idle(5, "What of the log no snapshot kept needs any more is removed.")
    backend_batch_limit: int = _idle(0, "There is no backend.")
    backend_batch_interval: str = _idle("", "There is no backend.")
    backend_bbolt_freelist_type: str = _idle(
        "map", "There is no backend.", "experimental-backend-bbolt-freelist-type"
    )
    compaction_batch_limit: int = _idle(
        1000, "Compaction makes way by itself.", "experimental-compaction-batch-limit"
    )
    pre_vote: bool = _idle(True, "Candidates ask first, always.")
    metrics: str = _idle("basic", "basic or extensive; there is one set.")
    enable_pprof: bool = _idle(False, "There is no profile of Go.")
    enable_v2: bool = _absent(False, "The API of etcd 2 is not served.")
    proxy: str = _absent("off", "There is no proxy.")
    wal_dir: str = _absent("", "The log is in the data directory.")
    discovery: str = _absent("", "Members are told by --initial-cluster.")
