"""The asyncio kit: tasks, back-off, clocks, ids, process life-cycle, logging.

What may live here knows time, tasks, queues and processes, and nothing of Raft, etcd or
Kubernetes. The test to apply: could this file be published as part of a general library?
It imports no other package of Podling.
"""
