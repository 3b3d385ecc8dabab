"""The MVCC key-value store behind the etcd v3 API.

What may live here: etcd's data model and semantics, and its gRPC face. Keys and values are bytes
without meaning; nothing here knows of Kubernetes, of consensus beyond proposing a command and
asking for a read index, or of files.

The floors, each importing only those below it:

* `store_server`: the wiring of one member.
* `etcd/`: the gRPC face. `messages` (our values <-> protobuf), `rpc_*`, `grpc_listener`.
* `store`: the asynchronous façade. Decoded request in, response out; free of the gRPC library.
* `housekeeping`, `authentication` (with `token_providers`), `alarms`: parts of it; `proposer` is
  their way to the replicas.
* `machine/`: what the members replicate. Pure: no clock, dice, sockets or asyncio.
* the vocabulary: `requests`, `auth_requests`, `key_values`, `errors`; `client_calls` counts
"""
