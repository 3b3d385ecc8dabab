"""The way between members: streams over gRPC, who may call, versions, snapshots on their way."""
