"""A tour with python-etcd3, run by an interpreter that has it: `python python_etcd3.py PORT FILE`.

Saves a snapshot to FILE. Ends with an exception at the first answer that is not as expected.
"""

import sys
import threading

import etcd3
import grpc
from etcd3.exceptions import RevisionCompactedError


def keys_and_values(client: etcd3.Etcd3Client) -> None:
    assert client.get("k") == (None, None)
    client.put("k", "1")
    assert client.put("k", "2", prev_kv=True).prev_kv.value == b"1"
    value, meta = client.get("k")
    assert (value, meta.version, meta.key) == (b"2", 2, b"k")
    assert client.put_if_not_exists("k", "3") is False
    assert client.replace("k", "2", "3") is True
    for number in range(5):
        client.put(f"p/{number}", str(number))
    found = client.get_prefix("p/", sort_order="descend", sort_target="key")
    assert [value for value, _ in found] == [b"4", b"3", b"2", b"1", b"0"]
    assert len(list(client.get_range("p/1", "p/3"))) == 2
    assert client.delete("k", return_response=True, prev_kv=True).prev_kvs[0].value == b"3"
    assert client.delete("k") is False
    assert client.delete_prefix("p/").deleted == 5


def transactions(client: etcd3.Etcd3Client) -> None:
    tx = client.transactions
    succeeded, answers = client.transaction(
        compare=[tx.version("t") == 0, tx.create("t") == 0],
        success=[tx.put("t", "new"), tx.put("u", "new"), tx.get("t")],
        failure=[tx.get("t")],
    )
    assert succeeded
    assert answers[2][0][0] == b"new"
    succeeded, answers = client.transaction(
        compare=[tx.value("t") == "old"],
        success=[tx.delete("t")],
        failure=[tx.txn([tx.mod("t") > 0], [tx.get("t")], [])],
    )
    assert not succeeded
    assert answers[0].response_txn.succeeded


def watches(client: etcd3.Etcd3Client) -> None:
    events, cancel = client.watch_prefix("w/")
    client.put("w/a", "1")
    client.put("w/a", "2")
    client.delete("w/a")
    seen = [next(events) for _ in range(3)]
    assert [type(event).__name__ for event in seen] == ["PutEvent", "PutEvent", "DeleteEvent"]
    cancel()
    told = threading.Event()
    client.add_watch_callback("w/b", lambda response: told.set())
    client.put("w/b", "1")
    assert told.wait(30)
    first = seen[0].mod_revision
    again, cancel = client.watch("w/a", start_revision=first)
    assert next(again).value == b"1"
    cancel()
    client.compact(first + 1)
    lost, cancel = client.watch("w/a", start_revision=first)
    try:
        next(lost)
    except RevisionCompactedError as error:
        assert error.compacted_revision == first + 1
    else:
        raise AssertionError("a watch of what was compacted went on")


def put_with_a_short_lease(client: etcd3.Etcd3Client, key: str) -> None:
    """A second is long enough, but for a machine that stops in between."""
    for _ in range(5):
        try:
            client.put(key, "1", client.lease(1))
            return
        except grpc.RpcError as gone:
            assert "requested lease not found" in str(gone), gone
    raise AssertionError("no lease lasts until a key has it")


def leases_and_locks(client: etcd3.Etcd3Client) -> None:
    lease = client.lease(60)
    client.put("l", "1", lease)
    assert (lease.granted_ttl, list(lease.keys)) == (60, [b"l"])
    assert lease.refresh()[0].TTL == 60
    lease.revoke()
    assert client.get("l") == (None, None)
    lock, other = client.lock("door", ttl=60), client.lock("door", ttl=60)
    assert lock.acquire()
    assert lock.is_acquired()
    assert other.acquire(timeout=0.2) is False
    assert lock.release()
    with other:
        assert other.is_acquired()
    events, cancel = client.watch("gone")
    put_with_a_short_lease(client, "gone")
    put, ended = next(events), next(events)
    assert (put.value, type(ended).__name__, ended.key) == (b"1", "DeleteEvent", b"gone")
    cancel()


def members_and_upkeep(client: etcd3.Etcd3Client, snapshot: str) -> None:
    members = list(client.members)
    assert [member.name for member in members] == ["replica-1", "replica-2", "replica-3"]
    status = client.status()
    assert status.leader.name in {member.name for member in members}
    assert status.version.startswith("3.6.")
    assert status.db_size > 0
    added = client.add_member(["http://127.0.0.1:1"])
    assert len(list(client.members)) == 4
    added.remove()
    assert len(list(client.members)) == 3
    assert client.hash()
    client.defragment()
    assert list(client.list_alarms()) == []
    with open(snapshot, "wb") as file:
        client.snapshot(file)


if __name__ == "__main__":
    etcd = etcd3.client(port=int(sys.argv[1]), timeout=30)
    keys_and_values(etcd)
    transactions(etcd)
    watches(etcd)
    leases_and_locks(etcd)
    members_and_upkeep(etcd, sys.argv[2])
    etcd.close()
