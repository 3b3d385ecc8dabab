"""The container runtime: pods as ordinary processes, behind CRI v1 on a Unix socket.

Two processes, so that pods outlive the agent that manages them:

* `launcher` owns the processes: it forks them, reaps them, writes their logs, keeps their exit
  codes, and takes them along when it dies;
* `cri` owns the meaning: sandboxes, containers, images, addresses. It lives in the node agent's
  process, may be restarted at any time, and finds everything again in its records and in the
  launcher's.

    CRI client --gRPC--> cri --frames over a socket--> launcher --fork, exec--> processes

May live here: what a CRI runtime knows. Must not: anything of Kubernetes (never `podling.kube`) or
of the kubelet.
"""
