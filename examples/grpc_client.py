"""A program that speaks to a cluster over gRPC: who leads, and which pods come and go.

python examples/grpc_client.py ~/.podling
"""

import json
import sys
from pathlib import Path

import grpc
import yaml

from podling.controlplane.clusterpb import cluster_pb2 as pb
from podling.controlplane.clusterpb import cluster_pb2_grpc as rpc

root = Path(sys.argv[1]).expanduser()
replica = yaml.safe_load((root / "cluster.yaml").read_text())["replicas"][0]
ca, key, certificate = (
    (root / "pki" / n).read_bytes() for n in ("ca.crt", "admin.key", "admin.crt")
)
credentials = grpc.ssl_channel_credentials(ca, key, certificate)
with grpc.secure_channel(f"{replica['address']}:{replica['grpc_port']}", credentials) as channel:
    print("leader:", rpc.ClusterStub(channel).Status(pb.StatusRequest()).leader)
    request = pb.WatchRequest(kind=pb.Kind(api_version="v1", kind="Pod"), timeout_seconds=30)
    for event in rpc.ObjectsStub(channel).Watch(request):
        if event.object:
            pod = json.loads(event.object)
            print(pb.WatchEvent.Type.Name(event.type), pod["metadata"]["name"], flush=True)
