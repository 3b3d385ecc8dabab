"""The CRI server: what sandboxes, containers and images mean, in terms of processes.

`rpc` is gRPC's side, `*_calls` are the verbs, `pod_table` and `record_files` remember, and
`launcher_client` has the processes started. `container_process`, `images`, `records`, `statuses`
and `pod_files` are pure. May live here: what a CRI runtime knows. Forking and waiting is the
launcher's.
"""
