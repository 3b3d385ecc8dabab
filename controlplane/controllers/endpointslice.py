"""EndpointSlice: which addresses are behind a Service, and in what state."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from podling.controlplane.controllers import endpoints
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.endpoints import Ports
from podling.controlplane.controllers.expectations import Expectations
from podling.controlplane.controllers.indexes import NAMESPACE_INDEX, by_namespace
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import generated_names, kinds, meta
from podling.kube.errors import NotFound
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, Result

SERVICE_INDEX = "controllers/service"


def by_service(slice_: Object) -> list[str]:
    """The index SERVICE_INDEX: the slices that this controller manages, by Service."""
    labels = meta.labels(slice_)
    if labels.get(endpoints.MANAGED_BY) != endpoints.MANAGER:
        return []
    return [meta.join_key(meta.namespace(slice_), labels.get(endpoints.SERVICE_NAME, ""))]


@dataclass(slots=True)
class SlicePlan:
    """What makes the slices of a Service say what is true."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def plan_slices(
    service: Object,
    pods: Iterable[Object],
    slices: Sequence[Object],
    zones: Mapping[str, str],
    capacity: int,
    dice: Random,
) -> SlicePlan:
    """At most `capacity` endpoints in a slice; an endpoint stays in the slice where it is."""
    plan, pods = SlicePlan(), list(pods)
    if meta.is_deleting(service) or not endpoints.is_managed(service):
        plan.delete = list(slices)
        return plan
    families = endpoints.address_types(service)
    plan.delete += [one for one in slices if one.get("addressType") not in families]
    for family in families:
        existing = [one for one in slices if one.get("addressType") == family]
        groups = endpoints.group_by_ports(service, pods, zones, family)
        _plan_family(service, family, groups, existing, capacity, dice, plan)
    return plan


def _plan_family(
    service: Object,
    family: str,
    groups: dict[Ports, list[Object]],
    existing: Sequence[Object],
    capacity: int,
    dice: Random,
    plan: SlicePlan,
) -> None:
    by_ports: dict[Ports, list[Object]] = {}
    for one in existing:
        by_ports.setdefault(endpoints.ports_of(one), []).append(one)
    # A Service without endpoints keeps one empty slice, which says that somebody looked.
    wanted = groups or {next(iter(by_ports), ()): []}
    for ports, found in wanted.items():
        filled = _fill(found, by_ports.pop(ports, []), capacity)
        keep_empty = not groups
        for one, contents in filled:
            if contents or keep_empty:
                keep_empty = False
                _change(service, one, contents, plan)
            else:
                plan.delete.append(one)
        for contents in _rest(found, filled, capacity, keep_empty=keep_empty):
            plan.create.append(_new_slice(service, family, ports, contents, dice))
    for obsolete in by_ports.values():
        plan.delete += obsolete


def _fill(
    found: Sequence[Object], slices: Sequence[Object], capacity: int
) -> list[tuple[Object, list[Object]]]:
    """Each slice with what it is to hold: what it held and still exists, then what is new."""
    waiting = {_identity(endpoint): endpoint for endpoint in found}
    filled = []
    for one in sorted(slices, key=meta.name):
        held = map(_identity, one.get("endpoints") or ())
        kept = [waiting.pop(identity) for identity in held if identity in waiting]
        filled.append((one, kept))
    for _, contents in sorted(filled, key=lambda pair: -len(pair[1])):
        while waiting and len(contents) < capacity:
            contents.append(waiting.pop(next(iter(waiting))))
    return filled


def _rest(
    found: Sequence[Object],
    filled: Sequence[tuple[Object, list[Object]]],
    capacity: int,
    *,
    keep_empty: bool,
) -> list[list[Object]]:
    """What did not fit, in slices of their own."""
    placed = {_identity(endpoint) for _, contents in filled for endpoint in contents}
    rest = [endpoint for endpoint in found if _identity(endpoint) not in placed]
    if not rest and keep_empty:
        return [[]]
    return [rest[start : start + capacity] for start in range(0, len(rest), capacity)]


def _identity(endpoint: Object) -> tuple[str, str]:
    return (endpoint.get("targetRef") or {}).get("uid", ""), endpoint["addresses"][0]


def _change(service: Object, one: Object, contents: list[Object], plan: SlicePlan) -> None:
    labels = endpoints.slice_labels(service)
    same = (one.get("endpoints") or []) == contents and meta.labels(one) == labels
    if not same:
        metadata = {**meta.metadata(one), "labels": labels}
        plan.update.append({**one, "metadata": metadata, "endpoints": contents})


def _new_slice(
    service: Object, family: str, ports: Ports, contents: list[Object], dice: Random
) -> Object:
    base = f"{meta.name(service)}-"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": generated_names.generate(base, dice),
            "namespace": meta.namespace(service),
            "generateName": base,
            "labels": endpoints.slice_labels(service),
            "ownerReferences": [meta.controller_reference(service)],
        },
        "addressType": family,
        "endpoints": contents,
        "ports": endpoints.port_objects(ports),
    }


class EndpointSliceController:
    """Reconciles the keys of Services."""

    name = "endpointslice"

    def __init__(self, context: ControllerContext, workers: int, capacity: int) -> None:
        self._context = context
        self._client = context.client
        self._capacity = capacity
        self._services = context.informers.informer(kinds.SERVICE)
        self._pods = context.informers.informer(kinds.POD)
        self._slices = context.informers.informer(kinds.ENDPOINT_SLICE)
        self._nodes = context.informers.informer(kinds.NODE)
        self._services.add_index(NAMESPACE_INDEX, by_namespace)
        self._pods.add_index(NAMESPACE_INDEX, by_namespace)
        self._slices.add_index(SERVICE_INDEX, by_service)
        self._expectations = Expectations()
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        enqueue = self._reconciler.enqueue
        await self._subscriptions.add(self._slices, self._observe)
        await self._subscriptions.relate(self._slices, by_service, enqueue)
        await self._subscriptions.relate(self._pods, self._selecting, enqueue)
        await self._subscriptions.add(self._services, enqueue)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def _observe(self, key: str) -> None:
        self._expectations.observe(key, self._slices.get(key))

    def _selecting(self, pod: Object) -> list[str]:
        """The Services that select a pod."""
        labels = meta.labels(pod).items()
        return [
            meta.key(service)
            for service in self._services.by_index(NAMESPACE_INDEX, meta.namespace(pod))
            if endpoints.is_managed(service) and service["spec"]["selector"].items() <= labels
        ]

    def _selected(self, service: Object) -> list[Object]:
        selector = (service["spec"].get("selector") or {}).items()
        found = []
        for key in self._pods.keys_by_index(NAMESPACE_INDEX, meta.namespace(service)):
            labels = self._pods.labels(key)
            if labels is not None and selector <= labels.items():
                pod = self._pods.get(key)
                if pod is not None:
                    found.append(pod)
        return found

    async def _reconcile(self, key: str) -> Result:
        service = self._services.get(key)
        if service is None:
            # Its slices go with it: the garbage collector follows their owner references.
            self._expectations.forget(key)
            return DONE
        if self._expectations.pending(key, asyncio.get_running_loop().time()):
            return DONE
        pods = self._selected(service) if endpoints.is_managed(service) else []
        slices = [
            one
            for one in self._slices.by_index(SERVICE_INDEX, key)
            if meta.is_controlled_by(one, service) and not meta.is_deleting(one)
        ]
        plan = plan_slices(
            service, pods, slices, self._zones(pods), self._capacity, self._context.dice
        )
        await self._carry_out(key, plan)
        return DONE

    def _zones(self, pods: Iterable[Object]) -> dict[str, str]:
        zones = {}
        for node in {(pod.get("spec") or {}).get("nodeName") or "" for pod in pods}:
            zone = (self._nodes.labels(node) or {}).get(endpoints.TOPOLOGY_ZONE)
            if zone:
                zones[node] = zone
        return zones

    async def _carry_out(self, key: str, plan: SlicePlan) -> None:
        for made in plan.create:
            slice_key = meta.key(made)
            self._expectations.expect_create(key, slice_key, asyncio.get_running_loop().time())
            try:
                await self._client.create(kinds.ENDPOINT_SLICE, made)
            except BaseException:
                self._expectations.give_up(slice_key)
                raise
        for changed in plan.update:
            await self._client.update(kinds.ENDPOINT_SLICE, changed)
        for obsolete in plan.delete:
            await self._delete(obsolete)

    async def _delete(self, slice_: Object) -> None:
        try:
            await self._client.delete(
                kinds.ENDPOINT_SLICE,
                meta.name(slice_),
                meta.namespace(slice_),
                uid=meta.uid(slice_),
            )
        except NotFound:
            return
