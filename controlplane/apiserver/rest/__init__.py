"""The REST face: one function from a request to an answer, and HTTPS around it.

`face` bounds, authorises and dispatches; `objects`, `subresources`, `paths` and `logs` do what is
asked; `rendering` gives answers their form. Only `http_server` knows HTTP, and only `kubelet_logs`
calls node agents. What holds for every face belongs below, into `registry` and `watch_cache`.
"""
