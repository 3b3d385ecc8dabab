"""What makes services reachable from a node: `services` balances connections, `dns` names them.

The two never import each other; both follow Services and EndpointSlices through `podling.kube`.
"""
