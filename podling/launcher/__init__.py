"""A cluster on this machine: made, started, looked at, broken on purpose, and ended.

    local_cluster, status, chaos    what the commands do; `cluster_file` is their one truth
    fork_server, processes          start each process; `process_lock` tells who runs
    server_process, node_process    wire the components of one process
    embedded_storage,               let two components of one process meet without a socket
    inprocess_transport

Only here are components of different programs put together. Must not live here: what a component
decides, or how a command prints (`podling.cli`).
"""
