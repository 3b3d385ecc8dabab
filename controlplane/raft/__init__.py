"""Raft consensus as a machine without I/O.

It is told of ticks, messages and proposals (commands, and changes of membership), and says what to
persist, send and apply. It imports no clock, dice, socket, disk or event loop: dice come in through
the constructor, time is a count of ticks, and everything it wants done comes out as one value, a
`Ready`.

The driver's duties (`rawnode.Ready` has the details):

1. Send `ready.messages` at once.
2. Write `ready.snapshot`, then `ready.entries` and `ready.hard_state`, in the order in which the
   Readies came; when that is on disk, send `ready.messages_after_persist` and call
   `persisted(ready.number)`. Later Readies may be taken and sent meanwhile, so that a leader
   replicates while it writes.
3. Restore `ready.snapshot` into the state machine, then apply `ready.committed`.
4. Call `advance(ready)`, and go on until `ready()` is None.

    while (ready := node.ready()) is not None:
        transport.send(ready.messages)
        disk.write(ready, then=lambda: persisted(ready))
        for entry in ready.committed:
            state_machine.apply(entry)
        node.advance(ready)

Raft paper: "In Search of an Understandable Consensus Algorithm (Extended Version)"; thesis:
"Consensus: Bridging Theory and Practice"; both by D. Ongaro.
"""
