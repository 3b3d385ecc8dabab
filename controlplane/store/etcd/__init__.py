"""The store's face to etcd's clients: etcd's services as plain objects (`rpc_*`) that know no gRPC
library, the adapter and the listener that bind them to one, and HTTP for probes."""
