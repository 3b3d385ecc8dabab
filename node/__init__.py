"""The node: `runtime` runs pods as processes behind CRI, `kubelet` is the node agent.

The two meet on a CRI socket and never import each other. `runtime` knows nothing of Kubernetes.
"""
