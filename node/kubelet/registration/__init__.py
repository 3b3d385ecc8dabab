"""The node itself: its Node object, its Lease, and what its machine says about it.

`node_object` is pure. May live here: what the API server is told of the node. What it is told of
pods belongs into `pods`.
"""
