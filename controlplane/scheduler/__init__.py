"""Assigns pods to nodes: snapshot, filter, score, pick, assume, bind.

What decides (`pod_info`, `node_info`, `snapshot`, `filters`, `scores`, `decide`, `pending`) is
pure: it is told what changed and what time it is, and returns what is to be done. `scheduler`
follows the API server, calls it, and binds. Nothing here knows how pods are run.
"""
