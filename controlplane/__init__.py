"""The control plane.

`raft` (consensus, pure) <- `wal` (bytes on disk) <- `replica` (drives both and talks to peers)
<- `store` (MVCC behind the etcd v3 API). Beside the store stand `apiserver`, `scheduler` and
`controllers`; these four meet on the wire, or at an interface that a process wires up, and never
import each other. `raft`, `wal`, `replica` and `store` know nothing of Kubernetes.
"""
