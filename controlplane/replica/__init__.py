"""Drives raft, its log on disk and the streams to its peers.

The only place where the three meet.

* `replica` is what others use: propose, read_index, status, leadership.
* `driver` is the Ready loop; `persister`, `proposals`, `reads`, `snapshots` and `ticker` are its
  parts, `running` wires them together.
* `transport` says what reaches peers; `grpc_transport` does it, with `peer_link`, `peer_security`
  and `wire`. `podling.simulate.network` does it in memory.

Nothing here knows what a command means; `state_machine` does.
"""
