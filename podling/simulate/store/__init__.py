"""A whole store in one process, on virtual time, under every fault there is, decided by one seed.

What is simulated is the store's real code: members with their replicas, logs and state machines.
Around them stand a network, disks and clocks that misbehave, and clients that do what clients do.

    schedule    what happens when: a list of events that can be saved, replayed and cut
    generator   makes one of a seed
    director    carries it out in a `world` of members and clients, by the verbs that a schedule can
                name: `faults`, `reconfiguring`, `administering`, `workload`; `settling` ends it
    raft_invariants, committed_history, {lease,alarm,permission}_invariants: what must hold at every
                moment; `rights` is a model of users for the last
    shrinking   makes a failing schedule short
    planted     bugs that must be found

What is not about the store (event loop, network, disk) lives one floor up, for other worlds.
"""
