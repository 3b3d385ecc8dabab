"""What is told of a connection to etcd that cannot be made. (Others: `test_etcd_storage`.)"""

import grpc
import grpc.aio
import pytest

from podling.controlplane.apiserver.storage import etcd_errors
from podling.controlplane.apiserver.storage.interface import Unavailable


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Unwrap failed (TSI_DATA_CORRUPTED)", "asks for a client's certificate"),
        ("routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: unable to", "has not signed"),
        ("routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "its URL is http, not https"),
        ("Connection refused", "Connection refused"),
    ],
)
def test_what_the_tls_library_says_is_explained(said: str, meant: str) -> None:
    nothing = grpc.aio.Metadata()
    text = f"failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:2379: {said}"
    refused = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, details=text)
    error = etcd_errors.to_storage_error(refused, writing=True)
    assert isinstance(error, Unavailable), "it has never left"
    assert text in str(error) and meant in str(error)
