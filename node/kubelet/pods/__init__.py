"""The drivers of pods: a worker each, which looks, lets `planning` decide, and does what it says.

`pod_workers` starts and feeds the workers, `pod_actions` makes the calls, `status_manager` reports.
Nothing is decided here that could be decided without I/O.
"""
