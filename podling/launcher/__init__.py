"""A cluster on this machine: made, started, looked at, broken on purpose, and ended.

    local_cluster, status, chaos    what the commands do; `cluster_file` is their one truth
    forking/                        starts each process; `process_lock` tells who runs
    programs/                       wires the components of a replica and of a node
    store/, apiserver/              the same for `podling store` and `podling apiserver`

Only here are components of different programs put together. Must not live here: what a component
decides, or how a command prints (`podling.cli`).
"""
