"""The Kubernetes API server: one core of plain functions, with faces around it.

The life of a request, and the folders it passes:

    rest, cluster_grpc    a face identifies the caller, bounds what is in flight, dispatches
    request               what is asked, by whom, and whether they may: pure
    registry              the one pipeline of writes: default, admit, prepare, validate,
                          compare-and-swap
    strategies            what each kind adds to the pipeline: defaults, rules, warnings
    service_claims        addresses and node ports, taken before a Service is stored
    storage               the interface to the store, and etcd behind it
    watch_cache           one watch of the store keeps all objects in memory as bytes; lists and
                          watches are answered from there
    tables, documents     how kinds are printed; what the server says about itself

`api_core` puts all of it together without sockets, `api_server` adds them. What may live here
serves the API; what clients of the API share belongs into `podling.kube`. It never imports the
store, the scheduler or the controllers.
"""
