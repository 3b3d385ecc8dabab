"""What clients are told: the etcd release whose API and promises this store has.

kube-apiserver relies on progress requests from 3.5.13 on.
"""

VERSION = "3.6.0"
STORAGE_VERSION = "3.6.0"
