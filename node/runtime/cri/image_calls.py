"""CRI's ImageService: every well-formed name is present, as a command or as the node itself."""

from collections.abc import Awaitable, Callable

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import images
from podling.node.runtime.cri.cri_errors import CriError
from podling.node.runtime.cri.images import ImageTable
from podling.node.runtime.cri.pod_table import PodTable


class ImageCalls:
    """Request in, response out; raises CriError.

    Nothing is ever pulled. Whether an image without a command can run depends on the container, so
    that is refused when the container is created, not here.
    """

    def __init__(self, table: PodTable, image_table: ImageTable) -> None:
        self._table = table
        self._images = image_table

    def unary(self) -> list[Callable[..., Awaitable[object]]]:
        return [
            self.ListImages, self.ImageStatus, self.PullImage, self.RemoveImage, self.ImageFsInfo,
        ]  # fmt: skip

    async def ListImages(self, request: cri.ListImagesRequest) -> cri.ListImagesResponse:
        names = {*self._images.names()}
        names |= {record.config.image.image for record in self._table.containers()}
        wanted = request.filter.image.image
        return cri.ListImagesResponse(
            images=[_image(name) for name in sorted(names) if wanted in ("", name)]
        )

    async def ImageStatus(self, request: cri.ImageStatusRequest) -> cri.ImageStatusResponse:
        _check(request.image.image)
        return cri.ImageStatusResponse(image=_image(request.image.image))

    async def PullImage(self, request: cri.PullImageRequest) -> cri.PullImageResponse:
        _check(request.image.image)
        return cri.PullImageResponse(image_ref=images.image_id(request.image.image))

    async def RemoveImage(self, request: cri.RemoveImageRequest) -> cri.RemoveImageResponse:
        return cri.RemoveImageResponse()

    async def ImageFsInfo(self, request: cri.ImageFsInfoRequest) -> cri.ImageFsInfoResponse:
        usage = cri.FilesystemUsage(timestamp=self._table.now())
        usage.fs_id.mountpoint = "/"
        usage.used_bytes.SetInParent()
        usage.inodes_used.SetInParent()
        return cri.ImageFsInfoResponse(image_filesystems=[usage], container_filesystems=[usage])


def _check(image: str) -> None:
    if not images.is_valid(image):
        raise CriError("invalid_argument", f'InvalidImageName: "{image}" is no image name')


def _image(name: str) -> cri.Image:
    tagged = "@" in name or ":" in name.rpartition("/")[2]
    return cri.Image(
        id=images.image_id(name),
        repo_tags=[name if tagged else f"{name}:latest"],
        size=1,
        pinned=True,
        spec=cri.ImageSpec(image=name),
    )
