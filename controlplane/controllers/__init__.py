"""The control loops: level-triggered, key in, read the cache, plan, act, write status.

Each file holds one controller: `plan_*` functions that decide, pure, and a thin class that acts on
what they say. Nothing here talks to a store, a node or another component but through the API, and
nothing changes an object it read from an informer in any way that others could see.

What may live here: loops that make the cluster's state what objects ask for. Placing pods is the
scheduler's, running them the node agent's.
"""
