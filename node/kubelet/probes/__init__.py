"""Probes: when to ask, how to ask, and what a row of answers means.

`probe_state` decides (pure), `prober` asks once, `pod_probes` keeps a pod's probes going. What a
verdict means for the pod is decided in `planning`.
"""
