"""The node agent: makes the containers of one node equal to the pods bound to it.

One worker per pod looks (pod from the API, containers from the runtime, probe results), plans and
acts. Deciding is pure (`pod_plan`, `pod_status`, `container_config`, `probe_state`,
`restart_policy`, ...); files that talk to the API, to the runtime or to the disk decide nothing.
What may live here speaks Kubernetes above and CRI below. How a container is run belongs to
`podling.node.runtime`, which is reached over its socket only and never imported.
"""
