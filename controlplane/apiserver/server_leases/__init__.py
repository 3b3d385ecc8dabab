"""Which API servers live, and how the cluster is told: by the Service `kubernetes`.

Every server keeps a key in the store that dies with it (`announcer`), and every server makes the
EndpointSlices of the Service say whose keys there are (`slice_plan`). May live here: what API
servers do to know of each other. Must not: the Service itself, which `bootstrap` makes.

Source: kube-apiserver's lease endpoint reconciler (--endpoint-reconciler-type=lease).
"""
