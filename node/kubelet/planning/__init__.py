"""What is to be done for a pod, and what is told about it: pure.

A `pod_view.PodView` holds everything known at one moment; `pod_plan` and `pod_status` are made from
it. May live here: decisions about pods, and the plain values they are made of. Must not: a clock,
a call, a file; the drivers in `pods` do what is decided here.
"""
