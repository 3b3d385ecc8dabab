"""The container runtime: pods as ordinary processes, behind CRI v1 on a Unix socket.

Two processes, so that pods outlive the agent that manages them:

* the launcher (`launcher_main.run_launcher`) owns the processes: it forks them, reaps them, writes
  their logs, keeps their exit codes, and takes them along when it dies;
* the CRI server (`runtime_server.RuntimeServer`) owns the meaning: sandboxes, containers, images,
  addresses. It lives in the node agent's process, may be restarted at any time, and finds
  everything again in its records and in the launcher's.

    CRI client --gRPC--> rpc -> pods --frames--> launcher_server -> launcher -> fork, exec

May live here: what a CRI runtime knows. Must not: anything of Kubernetes (never `podling.kube`) or
of the kubelet. What runs in the launcher (`launcher*` without `launcher_client`, `child`, `linux`,
`mount_*`, `output`, `leftovers`, `process_*`, `reaper`, `supervised`, `capabilities`) imports
neither gRPC nor protobuf: that process stays small, because it is forked for every container.
"""
