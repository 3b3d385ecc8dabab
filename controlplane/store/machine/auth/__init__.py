"""Who may do what: users, roles and ranges of keys (etcd: server/auth).

What may live here: the part of it that is replicated, and the tokens that a member knows. Pure, as
everything of the machine; passwords are hashed before they get here.
"""
