"""Cluster DNS on each node: the cluster's zone as the Kubernetes DNS specification has it.

What is not of that zone is asked upstream.

`names`, `records` and `answers` decide and touch no socket; `wire` turns messages into bytes and
back; `upstream` and `dns_server` do. Who is ready and which address a Service has is not its
business: Services and EndpointSlices say that.
"""
