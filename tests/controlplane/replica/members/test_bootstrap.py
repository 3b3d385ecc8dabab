"""Ids as etcd derives them: etcd 3.4.23 has printed these for the same flags."""

from podling.controlplane.replica.members.bootstrap import cluster_id_of, member_id_of


def test_ids_are_those_of_etcd() -> None:
    first = member_id_of(["http://127.0.0.1:21380"], "tok")
    second = member_id_of(["http://127.0.0.1:21382", "http://127.0.0.1:21381"], "tok")

    assert f"{first:x}" == "95dcb2c5cb1427d6"
    assert f"{second:x}" == "661d1b3e36e5e30f"
    assert f"{cluster_id_of([second, first]):x}" == "31eb27235d3041ef"
