"""The service proxy: what listens on each Service's cluster IP and balances over its endpoints.

`routing_table` and `balancer` decide and touch no socket; `tcp_relay` carries one connection;
`listeners` makes the open sockets equal the table; `service_proxy` wires them to the API. Names
are not its business (`podling.proxy.dns`), nor is who is ready (EndpointSlices say that).
"""
