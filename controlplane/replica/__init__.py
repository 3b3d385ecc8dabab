"""Drives raft, its log on disk and the streams to its peers.

The only place where the three meet.

* `replica` is what others use: propose, read_index, status, leadership, changes of membership.
* `driver` is the Ready loop; `persister`, `proposals`, `gathering`, `reads` and `ticker` are its
  parts, `running` wires them together, and `recovery` says what a start begins with.
* `members/`: `membership` says who the members are, `roster` what one replica knows of that;
  `membership_changes` makes changes, as far as `reconfiguration` lets it; `pending_change` waits
  for one. `bootstrap` derives ids.
* `transport` says what reaches peers, `peer_events` is what that reports to. `peers/` does it over
  gRPC: `grpc_transport`, with `peer_link` and `snapshot_sender` for the calling side,
  `peer_service` for the called, `peer_security`, `wire`, and `joining` for members that start for
  the first time. `podling.simulate.network` does it in memory.
* `snapshotting/`: `log_growth` says when a snapshot is due, `snapshots` makes and sends them,
  `received_snapshots` takes them.

Nothing here knows what a command means; `state_machine` does.
"""
