"""The container runtime as the kubelet sees it: calls, events, and a cache of what it holds.

Everything that speaks CRI is here. `cri_values` and `runtime_cache` are pure; above, nobody sees a
protobuf message of a pod's state.
"""
