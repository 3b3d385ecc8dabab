"""The store's gRPC face: etcd's services, decoded and encoded around the store."""
