"""The command line of `podling store`: etcd's flags, from arguments and from the environment."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from podling.cli.main import main
from podling.controlplane.store.version import VERSION


def refused(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What is said of arguments that are not taken; nothing is started."""
    strange = {name: None for name in os.environ if name.startswith("ETCD_")}
    result = CliRunner().invoke(main, ["store", *arguments], env=strange | (environment or {}))
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    return result.output


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--listen-peer-urls=127.0.0.1:1"], "must begin with http:// or https://"),
        (["--initial-cluster=a=http://127.0.0.1:1"], "couldn't find local name 'default'"),
        (["--cert-file=a.crt", "--key-file=a.key"], "no URL is for https"),
        (["--force-new-cluster"], "podling store recover"),
        (["--client-cert-auth", "--name=x"], "--client-cert-auth is given"),
        (["--client-cert-auth=true"], "--client-cert-auth is given"),
        (["--client-cert-auth=false", "--name="], "--name: '' cannot be"),
        (["--heartbeat-interval=soon"], "'soon' is not a valid int"),
        (["--experimental-corrupt-check-time=soon"], "'soon' is not a duration"),
        (["--auth-token=jwt,sign-method=none,priv-key=k"], "sign-method=none is not one of"),
        (["--wal-dir=w"], "--wal-dir=w is not taken: The log is in the data directory."),
        (["--enable-v2"], "--enable-v2=true is not taken: The API of etcd 2 is not served."),
        (["--proxy=on"], "--proxy=on is not taken"),
        (["--peer-crl-file=c"], "No such option"),
        (["stray"], "No such command 'stray'"),
    ],
)
def test_what_is_wrong_is_told(flags: list[str], words: str) -> None:
    assert words in refused(*flags)


KUBEADM = """
    --advertise-client-urls=https://10.0.0.1:2379
    --cert-file=server.crt
    --client-cert-auth=true
    --data-dir=/var/lib/etcd
    --initial-advertise-peer-urls=https://10.0.0.1:2380
    --initial-cluster=one=https://10.0.0.1:2380
    --key-file=server.key
    --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379
    --listen-metrics-urls=http://127.0.0.1:2381
    --listen-peer-urls=https://10.0.0.1:2380
    --name=one
    --peer-cert-file=peer.crt
    --peer-client-cert-auth=true
    --peer-key-file=peer.key
    --peer-trusted-ca-file=ca.crt
    --snapshot-count=10000
    --trusted-ca-file=ca.crt
"""


@pytest.mark.parametrize(
    ("check", "interval"),
    [
        ("experimental-initial-corrupt-check", "experimental-watch-progress-notify-interval"),
        ("feature-gates=InitialCorruptCheck", "watch-progress-notify-interval"),
    ],
)
def test_what_kubeadm_writes_is_taken(check: str, interval: str) -> None:
    told = refused(*KUBEADM.split(), f"--{check}=true", f"--{interval}=5s", "--log-level=loud")
    assert told.startswith("Error: --log-level: 'loud'")


def test_a_flag_may_be_in_the_environment() -> None:
    environment = {"ETCD_HEARTBEAT_INTERVAL": "500"}
    assert "--heartbeat-interval=500" in refused(environment=environment)
    listen = {"ETCD_LISTEN_CLIENT_URLS": "http://127.0.0.1:1"}
    assert "--advertise-client-urls is required" in refused(environment=listen)
    assert "'soon' is not a duration" in refused(environment={"ETCD_CORRUPT_CHECK_TIME": "soon"})


def test_a_flag_is_not_in_both() -> None:
    environment = {"ETCD_HEARTBEAT_INTERVAL": "500"}
    told = refused("--heartbeat-interval=100", environment=environment)
    assert "ETCD_HEARTBEAT_INTERVAL is shadowed by the flag --heartbeat-interval" in told


def test_a_variable_that_is_no_flag_is_warned_of() -> None:
    told = refused("--name=", environment={"ETCD_NAMES": "a"})
    assert "variable ETCD_NAMES is not known" in told


def test_with_a_file_of_flags_all_others_are_ignored_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "etcd.yaml"
    file.write_text("heartbeat-interval: 500\n")
    environment = {"ETCD_HEARTBEAT_INTERVAL": "soon", "ETCD_NAME": ""}
    told = refused(f"--config-file={file}", "--election-timeout=9", environment=environment)
    assert f"{file}: --election-timeout=1000 must be at least" in told
    assert "ignored: --election-timeout, ETCD_HEARTBEAT_INTERVAL, ETCD_NAME" in told


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "etcd.yaml"
    file.write_text("color: red\n")
    told = refused(environment={"ETCD_CONFIG_FILE": str(file)})
    assert told == f"Error: {file}: there is no flag color here\n"


def test_help_has_the_flags_by_section() -> None:
    text = CliRunner().invoke(main, ["store", "-h"]).output
    sections = [line for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert sections[:3] == ["Member:", "Clustering:", "Security towards clients:"]
    assert sections[-4:] == ["Taken without effect:", "Configuration:", "Other:", "Commands:"]
    assert "[default: etcd-cluster]" in text
    assert "--corrupt-check-time" in text and "--experimental" not in text


def test_the_version_is_told_in_the_form_of_etcd() -> None:
    told = CliRunner().invoke(main, ["store", "--version"])
    assert (told.exit_code, told.output.splitlines()[0]) == (0, f"etcd Version: {VERSION}")


def test_files_have_commands_of_their_own(tmp_path: Path) -> None:
    text = CliRunner().invoke(main, ["store", "snapshot", "--help"]).output
    assert "restore" in text and "status" in text
    missing = CliRunner().invoke(main, ["store", "inspect", str(tmp_path / "none")])
    assert missing.exit_code != 0 and "none" in missing.output
