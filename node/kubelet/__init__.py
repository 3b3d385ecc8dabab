"""The node agent: makes the containers of one node equal to the pods bound to it.

    planning        what to do for a pod, and what to say of it: pure
    containers      what a container is given: configuration, environment, references: pure
    cri             the runtime: calls, events, a cache of what it holds
    volumes         files made from ConfigMaps, Secrets and the pod's own fields
    probes          readiness, liveness and startup
    logs            the lines of CRI's log files
    pods            the drivers: one worker per pod looks, plans and acts
    registration    the Node object and its Lease

`kubelet` wires all of it; `node_api` answers what the API server asks the node for. What may live
here speaks Kubernetes above and CRI below. How a container is run belongs to
`podling.node.runtime`, which is reached over its socket only and never imported.
"""
