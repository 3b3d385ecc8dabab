"""What a request says, and whether it may: pure from the first byte to the last.

A request line becomes a `routes.Route`, the peer's certificate an `authn.User`, query and body
become `options` and an object; `authz` decides. May live here: readings of what clients send.
Must not: anything that looks at the store, the cache or another object.
"""
