"""The MVCC key-value store behind the etcd v3 API.

What may live here: etcd's data model and semantics, and its gRPC face. Keys and values are bytes
without meaning; nothing here knows of Kubernetes, of consensus beyond proposing a command and
asking for a read index, or of files.

The layers, each importing only those above it:

* values: `errors`, `key_values`, `requests`
* the pure machine: `key_index`, `mvcc`, `ranges`, `transactions`, `leases`, `watchers`, `commands`,
  `snapshots`, `hashing`, `state_machine`. No clock, dice, sockets or asyncio.
* `store`: the asynchronous façade. Decoded request in, response out; free of the gRPC library.
* the gRPC face: `messages` (our values <-> protobuf), `rpc_*`, `grpc_listener`.
* `etcd_server`: the wiring.
"""
