"""A hash over what may change in a running container's spec. Pure.

It is kept in the runtime beside the container; when it differs from the spec's, the container is
replaced. Of a bound pod only images may change, so names and images are all it covers, and a newer
kubelet finds the containers of an older one unchanged.
"""

import zlib

from podling.kube.meta import Object


def spec_hash(spec: Object) -> str:
    """Eight hexadecimal digits for one container of a pod's spec."""
    text = f"{spec['name']}\0{spec.get('image') or ''}"
    return f"{zlib.crc32(text.encode()):08x}"
