"""What `podling store` is told, checked: from flags to settings, or an error that says what to do.

Pure: no file is read and no address is bound. The checks are etcd's (server/embed, Config.Validate;
server/config, VerifyBootstrap), and those that keep a member from serving in the clear by mistake.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from podling.controlplane.store import compaction_policy
from podling.launcher import flag_values
from podling.launcher.flag_values import SettingsError
from podling.launcher.store import member_urls, token_options
from podling.launcher.store.member_urls import Url
from podling.launcher.store.store_flags import WITHOUT_EFFECT, StoreFlags
from podling.launcher.store.token_options import JwtOptions

ELECTION_TIMEOUT_MAX = 50_000
"""Milliseconds; etcd refuses more."""
ELECTION_HEARTBEATS = 5
"""How many heartbeats an election timeout must have at least."""
REQUEST_BYTES_MAX = 32 * 1024 * 1024
"""Members take messages of twice that from each other; an entry of the log that does not fit into
one would be sent again and again, and nothing behind it would get through."""
INITIAL_CHECK_GATE = "InitialCorruptCheck"
BCRYPT_COSTS = range(4, 32)
LOGGERS = ("zap", "capnslog")
LEVELS = {
    "debug": "DEBUG",
    "info": "INFO",
    "warn": "WARNING",
    "error": "ERROR",
    "panic": "CRITICAL",
    "fatal": "CRITICAL",
}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Certificates of one side. Paths of PEM files."""

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    """Whose certificates callers must have; None: they need none."""
    automatic: bool = False
    """Make a self-signed certificate."""
    allowed_names: frozenset[str] = frozenset()
    """Common names that callers' certificates may have; empty: any."""
    names_users: bool = False
    """The common name of a client's certificate is the user that asks, if it shows no token."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Durations are in seconds, sizes in bytes."""

    name: str
    data_dir: Path
    listen_clients: tuple[Url, ...]
    listen_peers: tuple[Url, ...]
    listen_metrics: tuple[Url, ...]
    advertised_clients: tuple[Url, ...]
    advertised_peers: tuple[Url, ...]
    advertised_peers_given: bool
    """The user has written them; later starts need not."""
    members: Mapping[str, tuple[Url, ...]]
    """Of a new cluster, or of the one to join."""
    join: bool
    token: str = field(repr=False)
    """Of the cluster; with certificates that members make themselves, what makes a member one."""
    client_tls: TlsSettings | None
    """None: no listener is for https."""
    peer_tls: TlsSettings | None
    heartbeat_interval: float
    election_timeout: float
    snapshot_count: int
    strict_reconfiguration: bool
    quota: int
    """0: the default; negative: none."""
    max_request_bytes: int
    max_txn_ops: int
    progress_interval: float
    jwt: JwtOptions | None
    """None: users are given simple tokens."""
    token_ttl: float
    """Of simple tokens."""
    bcrypt_cost: int
    initial_corrupt_check: bool
    corrupt_check_interval: float
    """0: members are not compared."""
    compaction_mode: str
    compaction_retention: float
    """Seconds, or revisions; 0: all history is kept."""
    log_level: str
    log_outputs: tuple[str, ...]
    """`stderr`, `stdout`, or paths of files."""
    warnings: tuple[str, ...] = ()
    """What is allowed and should be known."""


def settings(flags: StoreFlags, given: Collection[str]) -> StoreSettings:
    """Check `flags`, of which the user wrote those `given`; raises SettingsError and UrlError."""
    _check_numbers(flags)
    if flags.force_new_cluster:
        raise SettingsError(
            "--force-new-cluster is not a way to start: stop this member and run "
            "`podling store recover --force-new-cluster DIR`, which tells what it will do first"
        )
    name = flags.name.strip()
    if not name or "=" in name or "," in name:
        raise SettingsError(f"--name: {flags.name!r} cannot be the name of a member")
    clients = member_urls.parse_listen("listen-client-urls", flags.listen_client_urls, sockets=True)
    peers = member_urls.parse_listen("listen-peer-urls", flags.listen_peer_urls)
    metrics = member_urls.parse_listen("listen-metrics-urls", flags.listen_metrics_urls)
    advertised = member_urls.parse(
        "advertise-client-urls", flags.advertise_client_urls, sockets=True
    )
    _check_urls(flags, given, clients, peers)
    own, members = _members(flags, given, name)
    client_tls = _client_tls(flags, clients + metrics)
    peer_tls = _peer_tls(flags, peers, own, members)
    return StoreSettings(
        name=name,
        data_dir=Path(flags.data_dir or f"{name}.podling").expanduser(),
        listen_clients=clients,
        listen_peers=peers,
        listen_metrics=metrics,
        advertised_clients=advertised,
        advertised_peers=own,
        advertised_peers_given="initial_advertise_peer_urls" in given,
        members=members,
        join=flags.initial_cluster_state == "existing",
        token=flags.initial_cluster_token,
        client_tls=client_tls,
        peer_tls=peer_tls,
        heartbeat_interval=flags.heartbeat_interval / 1000,
        election_timeout=flags.election_timeout / 1000,
        snapshot_count=flags.snapshot_count,
        strict_reconfiguration=flags.strict_reconfig_check,
        quota=flags.quota_backend_bytes,
        max_request_bytes=flags.max_request_bytes,
        max_txn_ops=flags.max_txn_ops,
        progress_interval=flag_values.duration(
            "watch-progress-notify-interval", flags.watch_progress_notify_interval
        ),
        jwt=token_options.parse(flags.auth_token),
        token_ttl=flags.auth_token_ttl,
        bcrypt_cost=flags.bcrypt_cost,
        initial_corrupt_check=flags.initial_corrupt_check or _initial_check(flags.feature_gates),
        corrupt_check_interval=flag_values.duration("corrupt-check-time", flags.corrupt_check_time),
        compaction_mode=flags.auto_compaction_mode,
        compaction_retention=_retention(flags),
        log_level=_log_level(flags.log_level),
        log_outputs=_log_outputs(flags.log_outputs),
        warnings=(
            *_without_effect(flags, given),
            *_warnings(clients, peers),
            *_token_warnings(flags, peer_tls),
        ),
    )


def _check_numbers(flags: StoreFlags) -> None:
    for flag in ("heartbeat_interval", "election_timeout", "snapshot_count", "max_request_bytes",
                 "max_txn_ops", "auth_token_ttl"):  # fmt: skip
        if getattr(flags, flag) <= 0:
            raise SettingsError(f"--{flag.replace('_', '-')} must be more than 0")
    if flags.max_request_bytes > REQUEST_BYTES_MAX:
        raise SettingsError(
            f"--max-request-bytes={flags.max_request_bytes} is too much: at most "
            f"{REQUEST_BYTES_MAX}, what members can send each other in one message"
        )
    if flags.logger not in LOGGERS:
        raise SettingsError(f"--logger: {flags.logger!r} is not one of {', '.join(LOGGERS)}")
    if flags.bcrypt_cost not in BCRYPT_COSTS:
        raise SettingsError(f"--bcrypt-cost={flags.bcrypt_cost} must be from 4 to 31")
    least = ELECTION_HEARTBEATS * flags.heartbeat_interval
    if flags.election_timeout < least:
        raise SettingsError(
            f"--election-timeout={flags.election_timeout} must be at least "
            f"{ELECTION_HEARTBEATS} times --heartbeat-interval={flags.heartbeat_interval}"
        )
    if flags.election_timeout > ELECTION_TIMEOUT_MAX:
        raise SettingsError(
            f"--election-timeout={flags.election_timeout} is too long: at most "
            f"{ELECTION_TIMEOUT_MAX} milliseconds"
        )
    if flags.initial_cluster_state not in ("new", "existing"):
        raise SettingsError(
            f"--initial-cluster-state must be new or existing, not {flags.initial_cluster_state!r}"
        )


def _check_urls(
    flags: StoreFlags, given: Collection[str], clients: tuple[Url, ...], peers: tuple[Url, ...]
) -> None:
    if not clients:
        raise SettingsError("--listen-client-urls: there must be at least one")
    if not peers:
        raise SettingsError("--listen-peer-urls: there must be at least one")
    if "listen_client_urls" in given and "advertise_client_urls" not in given:
        raise SettingsError(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly"
        )
    if not flags.advertise_client_urls.strip():
        raise SettingsError("--advertise-client-urls: there must be at least one")


def _members(
    flags: StoreFlags, given: Collection[str], name: str
) -> tuple[tuple[Url, ...], Mapping[str, tuple[Url, ...]]]:
    """This member's own peer URLs, and those of all members."""
    own = member_urls.parse("initial-advertise-peer-urls", flags.initial_advertise_peer_urls)
    if not own:
        raise SettingsError("--initial-advertise-peer-urls: there must be at least one")
    if not flags.initial_cluster:
        return own, {name: own}
    members = member_urls.parse_cluster("initial-cluster", flags.initial_cluster)
    if name not in members:
        raise SettingsError(
            f"couldn't find local name {name!r} in the initial cluster configuration; "
            f"--initial-cluster has: {', '.join(members)}"
        )
    listed = sorted(url.text for url in members[name])
    advertised = sorted(url.text for url in own)
    if listed != advertised:
        wanted = ",".join(f"{name}={url}" for url in advertised)
        raise SettingsError(
            f"--initial-cluster has {name}={','.join(listed)} but must include {wanted}, as "
            f"--initial-advertise-peer-urls is {','.join(advertised)}"
        )
    return own, members


def _client_tls(flags: StoreFlags, urls: tuple[Url, ...]) -> TlsSettings | None:
    tls = TlsSettings(
        certificate=flag_values.path(flags.cert_file),
        key=flag_values.path(flags.key_file),
        authority=flag_values.path(flags.trusted_ca_file),
        automatic=flags.auto_tls and not flags.cert_file,
        names_users=flags.client_cert_auth,
    )
    return _checked("", "listen-client-urls", tls, flags.client_cert_auth, urls)


def _peer_tls(
    flags: StoreFlags,
    listen: tuple[Url, ...],
    own: tuple[Url, ...],
    members: Mapping[str, tuple[Url, ...]],
) -> TlsSettings | None:
    """Each URL says whether it is for TLS: a cluster can go over to it member by member."""
    tls = TlsSettings(
        certificate=flag_values.path(flags.peer_cert_file),
        key=flag_values.path(flags.peer_key_file),
        authority=flag_values.path(flags.peer_trusted_ca_file),
        automatic=flags.peer_auto_tls and not flags.peer_cert_file,
        allowed_names=frozenset({flags.peer_cert_allowed_cn} - {""}),
    )
    for url in own:
        if url.scheme not in {each.scheme for each in listen}:
            raise SettingsError(
                f"--initial-advertise-peer-urls has {url.text}, but --listen-peer-urls has no URL "
                f"for {url.scheme}"
            )
    all_urls = (*listen, *(url for urls in members.values() for url in urls))
    urls_flag = "listen-peer-urls" if any(url.secure for url in listen) else "initial-cluster"
    checked = _checked("peer-", urls_flag, tls, flags.peer_client_cert_auth, all_urls)
    if checked is not None and not checked.automatic and checked.authority is None:
        raise SettingsError(
            "--peer-trusted-ca-file is missing: without it, anybody could be a member"
        )
    return checked


def _checked(
    prefix: str, urls_flag: str, tls: TlsSettings, demand: bool, urls: tuple[Url, ...]
) -> TlsSettings | None:
    """`tls`, if a URL is for https; raises SettingsError if the two do not go together."""
    if not any(url.secure for url in urls):
        for flag, value in (
            ("cert-file", tls.certificate),
            ("key-file", tls.key),
            ("trusted-ca-file", tls.authority),
            ("client-cert-auth", demand),
            ("auto-tls", tls.automatic),
            ("cert-allowed-cn", tls.allowed_names),
        ):
            if value:
                raise SettingsError(
                    f"--{prefix}{flag} is given, but no URL is for https: write https:// in "
                    f"--{urls_flag}, or leave --{prefix}{flag} out"
                )
        return None
    flag_values.check_pair(f"{prefix}cert-file", tls.certificate, f"{prefix}key-file", tls.key)
    if tls.certificate is None and not tls.automatic:
        raise SettingsError(
            f"--{urls_flag} has https, but there is no --{prefix}cert-file and --{prefix}key-file; "
            f"give both, or --{prefix}auto-tls"
        )
    if demand and tls.authority is None:
        raise SettingsError(f"--{prefix}client-cert-auth needs --{prefix}trusted-ca-file")
    return tls


def _retention(flags: StoreFlags) -> float:
    mode, text = flags.auto_compaction_mode, flags.auto_compaction_retention
    try:
        return compaction_policy.parse_retention(mode, text)
    except ValueError as error:
        raise SettingsError(
            f"--auto-compaction-mode, --auto-compaction-retention: {error}"
        ) from None


def _initial_check(gates: str) -> bool:
    """What newer releases of etcd, and so kubeadm, have in place of a flag."""
    asked = False
    for gate in filter(None, (part.strip() for part in gates.split(","))):
        name, _, value = gate.partition("=")
        if name != INITIAL_CHECK_GATE or value not in ("true", "false"):
            raise SettingsError(
                f"--feature-gates: {gate!r} is not {INITIAL_CHECK_GATE}=true or =false; "
                "there is no other"
            )
        asked = value == "true"
    return asked


def _log_level(text: str) -> str:
    try:
        return LEVELS[text]
    except KeyError:
        raise SettingsError(f"--log-level: {text!r} is not one of {', '.join(LEVELS)}") from None


def _log_outputs(text: str) -> tuple[str, ...]:
    outputs = tuple(each.strip() for each in text.split(",") if each.strip())
    if not outputs:
        raise SettingsError("--log-outputs: there must be at least one; `default` is stderr")
    return tuple("stderr" if each == "default" else each for each in outputs)


def _without_effect(flags: StoreFlags, given: Collection[str]) -> list[str]:
    """Raises SettingsError if one of these flags asks for something that is not here."""
    idle = []
    for each in fields(StoreFlags):
        if each.metadata["section"] != WITHOUT_EFFECT or each.name not in given:
            continue
        flag, value = f"--{each.name.replace('_', '-')}", getattr(flags, each.name)
        if "only_default" in each.metadata and value != each.default:
            shown = str(value).lower() if isinstance(value, bool) else value
            raise SettingsError(f"{flag}={shown} is not taken: {each.metadata['help']}")
        idle.append(flag)
    return [f"without effect here: {', '.join(idle)}"] if idle else []


def _warnings(clients: tuple[Url, ...], peers: tuple[Url, ...]) -> list[str]:
    return [
        f"{who} are served in the clear at {url.text}: whoever can reach it can read and write "
        "all; use https"
        for who, urls in (("clients", clients), ("members", peers))
        for url in urls
        if not url.secure and not url.is_loopback
    ]


def _token_warnings(flags: StoreFlags, tls: TlsSettings | None) -> list[str]:
    if (
        tls is None
        or not tls.automatic
        or flags.initial_cluster_token != StoreFlags().initial_cluster_token
    ):
        return []
    return [
        "--peer-auto-tls takes everybody for a member who knows --initial-cluster-token, and the "
        "one of this cluster is the one that all have who give none: choose one, and keep it secret"
    ]
