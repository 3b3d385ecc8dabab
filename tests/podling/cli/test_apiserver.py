"""The command line of `podling apiserver`."""

import pytest
from click.testing import CliRunner

from podling.cli.main import main


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "Missing option '--etcd-servers'"),
        (["--etcd-servers=127.0.0.1:2379"], "must begin with http:// or https://"),
        (["--etcd-servers=http://127.0.0.1:1", "--etcd-cafile=ca"], "are for https"),
        (["--etcd-servers=https://127.0.0.1:1", "--etcd-certfile=c"], "needs --etcd-keyfile"),
        (["--etcd-servers=http://127.0.0.1:1", "--tls-cert-file=c"], "--tls-private-key-file"),
    ],
)
def test_what_is_wrong_is_told(flags: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["apiserver", *flags])
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert words in result.output
