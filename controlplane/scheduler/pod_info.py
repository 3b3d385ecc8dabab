"""What scheduling needs to know of a pod, worked out once each time the pod changes; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from podling.kube import label_selectors, meta, quantity
from podling.kube.label_selectors import LabelSelector
from podling.kube.meta import Object

#: Amounts by resource name, in billionths of a core, byte or piece.
Resources = Mapping[str, int]

DEFAULT_SCHEDULER: Final = "default-scheduler"

ASSUMED_CPU: Final = quantity.parse("100m").nanos
ASSUMED_MEMORY: Final = quantity.parse("200Mi").nanos
"""What a container without a request is taken to use when nodes are compared; upstream's values."""


class HostPort(NamedTuple):
    """A port of the node that the pod needs for itself."""

    address: str
    """`0.0.0.0` stands for all."""
    protocol: str
    port: int

    def clashes(self, other: "HostPort") -> bool:
        return (
            self.port == other.port
            and self.protocol == other.protocol
            and (self.address == other.address or "0.0.0.0" in (self.address, other.address))
        )


class Toleration(NamedTuple):
    key: str
    exists: bool
    """Whether any value is tolerated."""
    value: str
    effect: str
    """Empty: all effects."""

    def tolerates(self, taint: Mapping[str, str]) -> bool:
        if self.effect and self.effect != taint.get("effect"):
            return False
        if self.key and self.key != taint.get("key"):
            return False
        return self.exists or self.value == taint.get("value", "")


class NodeTerm(NamedTuple):
    """One alternative of a node affinity: all its parts must match."""

    labels: LabelSelector
    fields: LabelSelector

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        return self.labels.matches(labels) and self.fields.matches({"metadata.name": name})


class SpreadConstraint(NamedTuple):
    """How evenly the pods that match `selector` should lie over the values of a node label."""

    topology_key: str
    max_skew: int
    required: bool
    selector: LabelSelector


class PodTerm(NamedTuple):
    """Other pods, and how near is near: on nodes with the same value of a label."""

    topology_key: str
    selector: LabelSelector
    namespaces: frozenset[str] | None
    """None: of all namespaces."""

    def matches(self, other: "PodInfo") -> bool:
        if self.namespaces is not None and other.namespace not in self.namespaces:
            return False
        return self.selector.matches(other.labels)


class PodAffinity(NamedTuple):
    """Which pods this one wants near it, and which far from it."""

    near: tuple[PodTerm, ...] = ()
    apart: tuple[PodTerm, ...] = ()
    """Required, as `near` is."""
    preferred: tuple[tuple[int, PodTerm], ...] = ()
    """Weights above zero want such pods near, below zero far."""


@dataclass(frozen=True, slots=True)
class PodInfo:
    """One pod in one state; equal if nothing changed that matters here."""

    key: str
    uid: str
    namespace: str
    labels: Mapping[str, str]
    node_name: str
    """Where it is bound to; empty if it waits."""
    priority: int
    requests: Resources
    """What it is promised; every pod also takes one of `pods`."""
    assumed_cpu: int
    assumed_memory: int
    """What it is taken to use when nodes are compared."""
    host_ports: tuple[HostPort, ...]
    node_selector: Mapping[str, str]
    required_terms: tuple[NodeTerm, ...] | None
    """Alternatives of which one must match; None if there is no such wish."""
    preferred_terms: tuple[tuple[int, NodeTerm], ...]
    """Weight (1 to 100) and what earns it."""
    tolerations: tuple[Toleration, ...]
    spread: tuple[SpreadConstraint, ...]
    affinity: PodAffinity
    group: object
    """Equal for the pods that one owner made, or failing an owner, that are labelled alike: they
    are spread over nodes. None for a pod that stands alone."""
    finished: bool
    """It ended, or is about to vanish, without needing its node any more."""
    waits: bool
    """It is ready to be given to a node, by the scheduler named in `scheduler_name`."""
    scheduler_name: str


def pod_info(pod: Object) -> PodInfo:
    """Raises ValueError or KeyError for a pod that no API server would have accepted."""
    spec = pod["spec"]
    phase = (pod.get("status") or {}).get("phase", "")
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    cpu, memory = _assumed(spec)
    node_name = spec.get("nodeName") or ""
    finished = phase in ("Succeeded", "Failed")
    gated = bool(spec.get("schedulingGates"))
    return PodInfo(
        key=meta.key(pod),
        uid=meta.uid(pod),
        namespace=meta.namespace(pod),
        labels=meta.labels(pod),
        node_name=node_name,
        priority=spec.get("priority") or 0,
        requests=_requests(spec),
        assumed_cpu=cpu,
        assumed_memory=memory,
        host_ports=tuple(_host_ports(spec)),
        node_selector=spec.get("nodeSelector") or {},
        required_terms=None if required is None else _terms(required["nodeSelectorTerms"]),
        preferred_terms=tuple((wish["weight"], _term(wish["preference"])) for wish in preferred),
        tolerations=tuple(_toleration(item) for item in spec.get("tolerations") or ()),
        spread=tuple(_spread(item, pod) for item in spec.get("topologySpreadConstraints") or ()),
        affinity=_pod_affinity(spec.get("affinity") or {}, pod),
        group=_group(pod),
        finished=finished,
        waits=not (node_name or finished or gated or meta.is_deleting(pod)),
        scheduler_name=spec.get("schedulerName") or DEFAULT_SCHEDULER,
    )


def _requests(spec: Mapping[str, Any]) -> dict[str, int]:
    """The most that the pod needs at any time (the page "Sidecar Containers", resource sharing).

    Initialisation containers run one after another, each beside the sidecars started before it;
    then all containers run beside all sidecars.
    """
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container)
        _raise_to(peak, _sum(sidecars, amounts))
        if container.get("restartPolicy") == "Always":
            sidecars = _sum(sidecars, amounts)
    running = sidecars
    for container in spec["containers"]:
        running = _sum(running, _amounts(container))
    _raise_to(peak, running)
    overhead = {name: quantity.parse(text).nanos for name, text in _items(spec.get("overhead"))}
    return _sum(peak, overhead)


def _amounts(container: Mapping[str, Any]) -> dict[str, int]:
    """Requests; a limit stands for a request that is missing."""
    resources = container.get("resources") or {}
    merged = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity.parse(text).nanos for name, text in merged.items()}


def _items(mapping: Mapping[str, Any] | None) -> Iterable[tuple[str, Any]]:
    return (mapping or {}).items()


def _sum(one: Resources, other: Resources) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}


def _raise_to(peak: dict[str, int], amounts: Resources) -> None:
    for name, amount in amounts.items():
        peak[name] = max(peak.get(name, 0), amount)


def _assumed(spec: Mapping[str, Any]) -> tuple[int, int]:
    amounts = [_amounts(container) for container in spec["containers"]]
    return (
        sum(each.get("cpu", ASSUMED_CPU) for each in amounts),
        sum(each.get("memory", ASSUMED_MEMORY) for each in amounts),
    )


def _host_ports(spec: Mapping[str, Any]) -> Iterable[HostPort]:
    for container in spec["containers"]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield HostPort(
                    port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"]
                )


def _terms(terms: Iterable[Mapping[str, Any]]) -> tuple[NodeTerm, ...]:
    return tuple(_term(term) for term in terms)


def _term(term: Mapping[str, Any]) -> NodeTerm:
    expressions, fields = term.get("matchExpressions"), term.get("matchFields")
    if not expressions and not fields:
        # An empty alternative matches no node (core/v1 NodeSelectorTerm).
        return NodeTerm(label_selectors.NOTHING, label_selectors.NOTHING)
    return NodeTerm(
        label_selectors.from_object({"matchExpressions": expressions or ()}),
        label_selectors.from_object({"matchExpressions": fields or ()}),
    )


def _toleration(item: Mapping[str, Any]) -> Toleration:
    return Toleration(
        item.get("key") or "",
        item.get("operator") == "Exists",
        item.get("value") or "",
        item.get("effect") or "",
    )


def _spread(item: Mapping[str, Any], pod: Object) -> SpreadConstraint:
    return SpreadConstraint(
        item["topologyKey"],
        item["maxSkew"],
        item.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
        _selector(item, pod),
    )


def _selector(item: Mapping[str, Any], pod: Object) -> LabelSelector:
    """`labelSelector`, narrowed to the pod's own values of `matchLabelKeys`."""
    selector = label_selectors.from_object(item.get("labelSelector"))
    labels = meta.labels(pod)
    own = {key: labels[key] for key in item.get("matchLabelKeys") or () if key in labels}
    requirements = selector.requirements + label_selectors.from_map(own).requirements
    return LabelSelector(requirements, selector.matches_nothing)


def _pod_affinity(affinity: Mapping[str, Any], pod: Object) -> PodAffinity:
    required, preferred = _pod_terms(affinity.get("podAffinity") or {}, pod)
    apart, avoided = _pod_terms(affinity.get("podAntiAffinity") or {}, pod)
    unwanted = tuple((-weight, term) for weight, term in avoided)
    return PodAffinity(required, apart, preferred + unwanted)


def _pod_terms(
    rules: Mapping[str, Any], pod: Object
) -> tuple[tuple[PodTerm, ...], tuple[tuple[int, PodTerm], ...]]:
    required = rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return (
        tuple(_pod_term(term, pod) for term in required),
        tuple((wish["weight"], _pod_term(wish["podAffinityTerm"], pod)) for wish in preferred),
    )


def _pod_term(term: Mapping[str, Any], pod: Object) -> PodTerm:
    """A namespaceSelector takes in all namespaces: their labels are not followed here."""
    names = frozenset(term.get("namespaces") or (meta.namespace(pod),))
    everywhere = term.get("namespaceSelector") is not None
    return PodTerm(term["topologyKey"], _selector(term, pod), None if everywhere else names)


def _group(pod: Object) -> object:
    owner = meta.controller_of(pod)
    if owner is not None:
        return owner.get("uid")
    labels = meta.labels(pod)
    return (meta.namespace(pod), frozenset(labels.items())) if labels else None
