"""The API server's side of the store: etcd's terms, as an interface and over the etcd protocol.

`interface` is what everything above depends on; `etcd_storage` implements it over gRPC, and passes
the same contract suite as the other implementations. May live here: what knows keys, revisions and
leases. Must not: what a kind allows, or how a client wants to see it.
"""
