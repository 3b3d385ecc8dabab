"""What Services hold of the cluster's common stock: addresses and node ports.

Several servers hand them out at once, so each claim is a key of the store, or a bit in one. May
live here: taking, giving back, and repairing claims. Checking a Service belongs into `strategies`.
"""
