"""The launcher: the small process that owns a node's pods, and outlives the agent that uses it.

It forks, watches and reaps processes, writes their logs and keeps their exit codes (`launcher`),
behind a socket (`server`, `protocol`). `mount_plan` and `protocol` are pure. Must not: import gRPC
or protobuf, or know what a sandbox is; this process is forked for every container, so it stays
small.
"""
