"""What every component knows about Kubernetes: kinds, selectors, patches, client, informer, queue.

It never serves anything and imports nothing of Podling but `aiokit`. The test to apply: would a
scheduler, a controller, a node agent and a proxy all want this file?
"""
