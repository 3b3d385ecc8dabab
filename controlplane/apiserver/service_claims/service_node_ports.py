"""Gives the ports of NodePort and LoadBalancer Services a node port each."""

from podling.controlplane.apiserver.registry.write_hooks import Nothing, Reservation
from podling.controlplane.apiserver.service_claims.node_ports import RANGE, NodePorts, PortTaken
from podling.kube import errors, meta
from podling.kube.errors import FieldError
from podling.kube.kinds import SERVICE
from podling.kube.meta import Object


def ports_of(service: Object | None) -> set[int]:
    """The node ports a Service has."""
    ports = ((service or {}).get("spec") or {}).get("ports") or ()
    return {port["nodePort"] for port in ports if port.get("nodePort")}


def wants_ports(service: Object) -> bool:
    """Its ports are to be reachable on every node."""
    spec = service["spec"]
    if spec.get("type") == "LoadBalancer":
        return bool(spec.get("allocateLoadBalancerNodePorts", True))
    return bool(spec.get("type") == "NodePort")


class ServiceNodePorts:
    """Implements write_hooks.WriteHook for Services."""

    def __init__(self, ports: NodePorts) -> None:
        self._ports = ports

    async def reserve(self, new: Object, old: Object | None, *, dry_run: bool) -> Reservation:
        had, asked = ports_of(old), ports_of(new)
        wanted = asked - had
        for port in sorted(wanted):
            if port not in RANGE:
                raise _invalid(
                    new,
                    port,
                    "provided port is not in the valid range. "
                    f"The range of valid ports is {RANGE[0]}-{RANGE[-1]}",
                )
        if dry_run:
            return Nothing()
        open_ports = [port for port in new["spec"].get("ports") or () if not port.get("nodePort")]
        missing = open_ports if wants_ports(new) else []
        try:
            drawn = await self._ports.take(wanted, len(missing))
        except PortTaken as error:
            raise _invalid(new, error.port, "provided port is already allocated") from error
        for port, number in zip(missing, drawn, strict=True):
            port["nodePort"] = number
        return _Taken(self._ports, wanted | set(drawn), had - asked)

    async def released(self, old: Object) -> None:
        await self._ports.release(ports_of(old))


class _Taken:
    """The reservation of ports, and of those that are free once the write is done."""

    def __init__(self, ports: NodePorts, taken: set[int], freed: set[int]) -> None:
        self._ports = ports
        self._taken = taken
        self._freed = freed

    async def keep(self) -> None:
        await self._ports.release(self._freed)

    async def give_back(self) -> None:
        await self._ports.release(self._taken)


def _invalid(service: Object, port: int, detail: str) -> errors.Invalid:
    ports = service["spec"].get("ports") or ()
    index = next((i for i, one in enumerate(ports) if one.get("nodePort") == port), 0)
    wrong = FieldError.invalid(f"spec.ports[{index}].nodePort", port, detail)
    return errors.Invalid(kind=SERVICE, name=meta.name(service), errors=[wrong])
