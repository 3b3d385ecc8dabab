"""The Kubernetes API server: one core of plain functions, with faces around it.

The life of a request:

    http_server, grpc_server         a face identifies the caller and makes an `ApiRequest`
    rest_face                        route, authorise, bound the requests in flight
    rest_objects, rest_*             what the verb asks; bodies decoded, structure checked
    registry                         the one pipeline of writes: default, admit, prepare, validate,
                                     compare-and-swap
    strategies, admission*           what a kind, and what the cluster, adds to the pipeline
    storage                          the interface to the store; etcd_storage is one implementation
    watch_cache -> kind_cache        one watch of the store keeps all objects in memory as bytes
    object_lists, watch_streams      lists and watches are answered from there
    rendering, tables                objects, lists and events in the form that was asked for

`api_core` puts all of it together without sockets, `api_server` adds them. What may live here
serves the API; what clients of the API share belongs into `podling.kube`. It never imports the
store, the scheduler or the controllers.
"""
