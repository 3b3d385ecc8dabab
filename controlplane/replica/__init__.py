"""Drives raft, its log on disk and the streams to its peers.

The only place where the three meet.

* `replica` is what others use: propose, read_index, status, leadership, changes of membership.
* `driver` is the Ready loop; `persister`, `proposals`, `changes`, `reads`, `snapshots`,
  `received_snapshots`, `log_growth` and `ticker` are its parts, `running` wires them together, and
  `recovery` says what a start begins with.
* `membership` says who the members are, `roster` what one replica knows of that;
  `membership_changes` makes changes, as far as `reconfiguration` lets it. `bootstrap` and `joining`
  are for members that start for the first time.
* `transport` says what reaches peers; `grpc_transport` does it, with `peer_link` and
  `snapshot_sender` for the calling side, `peer_service` for the called, `peer_security` and `wire`.
  `podling.simulate.network` does it in memory. `peer_events` is what they report to.

Nothing here knows what a command means; `state_machine` does.
"""
