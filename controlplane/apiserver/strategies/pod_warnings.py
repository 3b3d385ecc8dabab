"""What is accepted in a pod spec but will surprise its author.

Source: kube-apiserver's `GetWarningsForPod`; kubectl prints these in yellow.
"""

from podling.controlplane.apiserver.strategies.pod_defaults import CONTAINER_LISTS
from podling.kube import meta, names
from podling.kube.meta import Object


def pod_warnings(pod: Object) -> list[str]:
    """Of a Pod of its own."""
    found = []
    if names.dns_label_errors(meta.name(pod)):
        found.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising "
            "behavior; a DNS label is recommended"
        )
    return found + pod_spec_warnings(pod.get("spec") or {}, "spec")


def pod_spec_warnings(spec: Object, path: str) -> list[str]:
    """Of a Pod, or of the template of a workload."""
    found: list[str] = []
    for field in CONTAINER_LISTS:
        for index, container in enumerate(spec.get(field) or ()):
            where = f"{path}.{field}[{index}]"
            found += _hidden_variables(container, where)
            found += _repeated_ports(container, where)
    return found


def _hidden_variables(container: Object, path: str) -> list[str]:
    found, seen = [], set()
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name", "")
        # A later value may well be built from the earlier one.
        if name in seen and f"$({name})" not in (variable.get("value") or ""):
            found.append(
                f'{path}.env[{index}]: hides previous definition of "{name}", '
                "which may be dropped when using apply"
            )
        seen.add(name)
    return found


def _repeated_ports(container: Object, path: str) -> list[str]:
    found: list[str] = []
    seen: dict[tuple[object, object], int] = {}
    for index, port in enumerate(container.get("ports") or ()):
        key = port.get("containerPort"), port.get("protocol")
        if key in seen:
            found.append(
                f"{path}.ports[{index}]: duplicate port definition with {path}.ports[{seen[key]}]"
            )
        seen.setdefault(key, index)
    return found
