"""CRI's calls about the runtime itself."""

import json
from collections.abc import Awaitable, Callable
from importlib import metadata

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri.cri_errors import CriError
from podling.node.runtime.cri.launcher_client import LauncherClient
from podling.node.runtime.cri.pod_network import NetworkError, PodNetwork

UNENFORCED = "CPU and memory limits are accepted and not enforced: pods are plain processes"


class NodeCalls:
    """Request in, response out; raises CriError."""

    def __init__(self, launcher: LauncherClient, network: PodNetwork) -> None:
        self._launcher = launcher
        self._network = network

    def unary(self) -> list[Callable[..., Awaitable[object]]]:
        return [self.Version, self.Status, self.RuntimeConfig, self.UpdateRuntimeConfig]

    async def Version(self, request: cri.VersionRequest) -> cri.VersionResponse:
        return cri.VersionResponse(
            version="0.1.0",
            runtime_name="podling",
            runtime_version=metadata.version("podling"),
            runtime_api_version="v1",
        )

    async def Status(self, request: cri.StatusRequest) -> cri.StatusResponse:
        """Verbose `info["capabilities"]` is JSON: `mount_namespace` (`root`, `user` or `none`),
        `mount_namespace_reason` (why `none`), `limits` (what is not enforced)."""
        response = cri.StatusResponse(
            runtime_handlers=[cri.RuntimeHandler(features=cri.RuntimeHandlerFeatures())],
            features=cri.RuntimeFeatures(),
        )
        response.status.conditions.extend(
            [
                _condition("RuntimeReady", "LauncherUnreachable", self._launcher.trouble),
                _condition("NetworkReady", "NetworkNotConfigured", self._network.trouble),
            ]
        )
        if request.verbose:
            found = {**self._launcher.capabilities, "limits": UNENFORCED}
            response.info["capabilities"] = json.dumps(found)
        return response

    async def RuntimeConfig(self, request: cri.RuntimeConfigRequest) -> cri.RuntimeConfigResponse:
        return cri.RuntimeConfigResponse(
            linux=cri.LinuxRuntimeConfiguration(cgroup_driver=cri.CGROUPFS)
        )

    async def UpdateRuntimeConfig(
        self, request: cri.UpdateRuntimeConfigRequest
    ) -> cri.UpdateRuntimeConfigResponse:
        cidrs = request.runtime_config.network_config.pod_cidr
        if cidrs:
            try:
                self._network.configure(cidrs.split(","))
            except NetworkError as error:
                raise CriError("invalid_argument", str(error)) from None
        return cri.UpdateRuntimeConfigResponse()


def _condition(name: str, reason: str, trouble: str) -> cri.RuntimeCondition:
    return cri.RuntimeCondition(
        type=name, status=not trouble, reason=reason if trouble else "", message=trouble
    )
