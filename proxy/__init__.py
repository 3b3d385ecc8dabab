"""What makes services reachable from a node: `services` balances connections, `dns` names them."""
