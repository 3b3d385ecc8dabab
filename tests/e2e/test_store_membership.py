"""Members of `podling store` come and go: real processes, and the real etcdctl to say so."""

import re
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from podling.launcher.waiting import wait_for
from tests.e2e.store_members import ETCDCTL, FAILOVER, StoreCluster, StoreMember

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(ETCDCTL is None, reason="no etcdctl in PATH (apt install etcd-client)"),
]

EXISTING = "--initial-cluster-state=existing"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[StoreCluster]:
    with StoreCluster(tmp_path) as cluster:
        yield cluster.start()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[StoreCluster]:
    with StoreCluster(tmp_path, 3) as cluster:
        yield cluster.start()


@pytest.fixture
def replacing(tmp_path: Path) -> Iterator[StoreCluster]:
    """Three that elect another leader soon."""
    with StoreCluster(tmp_path, 3, timing=FAILOVER) as cluster:
        yield cluster.start()


def number_of(cluster: StoreCluster, member: StoreMember) -> str:
    """Its id, as `etcdctl member` has it."""
    for line in cluster.etcdctl("member", "list", at=cluster.members[0]).splitlines():
        fields = line.split(", ")
        if fields[3] == member.peer_url:
            return fields[0]
    raise AssertionError(f"{member.name} is not listed")


def listed(cluster: StoreCluster, member: StoreMember) -> list[str]:
    """What `etcdctl member list` says of it: status, name and whether it is a learner."""
    number = number_of(cluster, member)
    told = cluster.etcdctl("member", "list", at=cluster.members[0])
    lines = [line.split(", ") for line in told.splitlines()]
    (fields,) = [fields for fields in lines if fields[0] == number]
    return [fields[1], fields[2], fields[5]]


def join(cluster: StoreCluster, name: str, *words: str) -> StoreMember:
    """Add a member to the cluster, and start it."""
    others = list(cluster.members)
    newcomer = cluster.new_member(name)
    told = cluster.etcdctl(
        "member", "add", name, f"--peer-urls={newcomer.peer_url}", *words, at=others[0]
    )
    assert 'ETCD_INITIAL_CLUSTER_STATE="existing"' in told
    newcomer.start(cluster.members, *cluster.flags, EXISTING)
    newcomer.await_answer()
    wait_for(
        lambda: listed(cluster, newcomer)[0] == "started",
        60,
        lambda: f"{name} to make itself known",
    )
    return newcomer


class Writer:
    """Puts numbered keys, and remembers which were acknowledged."""

    def __init__(self, cluster: StoreCluster, urls: Sequence[str]) -> None:
        self._cluster = cluster
        self._urls = urls
        self._stop = threading.Event()
        self.acknowledged = 0
        self.failures: list[str] = []

    @contextmanager
    def running(self) -> Iterator["Writer"]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def wrote(self, more: int) -> None:
        """Wait for so many more."""
        target = self.acknowledged + more
        wait_for(lambda: self.acknowledged >= target, 90, lambda: f"{more} more puts")

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._cluster.etcdctl("put", f"w/{self.acknowledged:05}", "v", urls=self._urls)
                self.acknowledged += 1
            except AssertionError as error:
                self.failures.append(str(error))


def test_members_join_and_leave_while_others_write(one: StoreCluster) -> None:
    with Writer(one, [one.members[0].client_url]).running() as writer:
        writer.wrote(3)
        second = join(one, "m2")
        third = join(one, "m3")
        writer.wrote(3)
        number = number_of(one, second)
        assert "removed" in one.etcdctl("member", "remove", number, at=one.members[0])
        assert second.ended() == 1
        assert "removed" in second.said()
        writer.wrote(3)
    assert not writer.failures
    one.members.remove(second)
    kept = one.etcdctl("get", "w/", "--prefix", "--keys-only", at=third)
    assert kept.count("w/") == writer.acknowledged
    one.etcdctl("endpoint", "health", "--cluster")


def test_a_lone_member_is_killed_when_it_has_added_a_second_one(one: StoreCluster) -> None:
    (first,) = one.members
    one.etcdctl("put", "kept", "value")
    second = one.new_member("m2")
    one.etcdctl("member", "add", "m2", f"--peer-urls={second.peer_url}", at=first)
    first.kill()
    first.start([first])
    first.await_answer()
    assert listed(one, second)[0] == "unstarted"
    second.start(one.members, EXISTING)
    second.await_answer()

    assert "value" in one.etcdctl("get", "kept", at=second)
    one.etcdctl("put", "more", "value", at=first)


def test_all_members_are_restarted_one_by_one_while_clients_write(three: StoreCluster) -> None:
    """A member that is told to stop finishes what it was asked, and hands leadership over."""
    urls = [member.client_url for member in three.members]
    with Writer(three, urls).running() as writer:
        for member in list(three.members):
            writer.wrote(2)
            assert member.terminate() == 0
            writer.wrote(2)
            three.start()
    assert not writer.failures
    kept = three.etcdctl("get", "w/", "--prefix", "--keys-only")
    assert kept.count("w/") == writer.acknowledged


def test_a_member_that_was_removed_does_not_come_back(three: StoreCluster) -> None:
    removed = three.follower()
    number = number_of(three, removed)
    removed.kill()
    three.etcdctl("member", "remove", number)
    removed.start(three.members)
    assert removed.ended() == 1
    assert "removed" in removed.said()
    removed.start(three.members, EXISTING)
    assert removed.ended() == 1
    three.etcdctl("put", "a", "1")


def test_a_member_that_is_asked_to_remove_itself_answers_and_ends(
    replacing: StoreCluster,
) -> None:
    gone = replacing.members[0]
    number = number_of(replacing, gone)
    assert "removed" in replacing.etcdctl("member", "remove", number, at=gone)
    assert gone.ended() == 1
    replacing.eventually("put", "a", "1")


def test_a_learner_follows_and_is_promoted(one: StoreCluster) -> None:
    one.etcdctl("put", "a", "1")
    learner = join(one, "m2", "--learner")
    number = number_of(one, learner)
    wait_for(
        lambda: listed(one, learner) == ["started", "m2", "true"], 60, lambda: "it to be a learner"
    )
    refused = one.etcdctl("put", "a", "2", at=learner, fails=True)
    assert "rpc not supported for learner" in refused
    wait_for(
        lambda: promoted(one, number), 60, lambda: "the learner to have the log, and be promoted"
    )
    assert listed(one, learner) == ["started", "m2", "false"]
    one.etcdctl("put", "a", "3", at=learner)
    # When it first heard of the leader it knew no names yet.
    leader = number_of(one, one.members[0])
    assert re.search(f"is follower in term [0-9]+, leader (m1|{leader})", learner.said())


def promoted(cluster: StoreCluster, number: str) -> bool:
    try:
        return "promoted" in cluster.etcdctl("member", "promote", number, at=cluster.members[0])
    except AssertionError:
        return False


def test_a_member_moves_to_another_address(three: StoreCluster) -> None:
    moved = three.follower()
    number = number_of(three, moved)
    moved.kill()
    moved.peer_url = StoreMember("elsewhere", Path()).peer_url
    three.etcdctl("member", "update", number, f"--peer-urls={moved.peer_url}")
    three.etcdctl("put", "a", "1")
    moved.start(three.members)
    moved.await_answer()
    assert three.etcdctl("get", "a", at=moved) == "a\n1\n"


def test_who_was_not_added_cannot_join(one: StoreCluster) -> None:
    stranger = one.new_member("m2")
    stranger.start(one.members, EXISTING)
    assert stranger.ended() == 1
    assert "add it first" in stranger.said()
    assert not (stranger.data_dir / "wal").exists()


def test_who_was_not_added_is_refused_by_those_who_were(one: StoreCluster) -> None:
    """It begins a cluster of its own making, with the same member in its list."""
    stranger = one.new_member("m2")
    stranger.start(one.members)
    wait_for(
        lambda: "belongs to cluster" in one.members[0].said(),
        60,
        lambda: f"the stranger to be refused:\n{one.members[0].said()}",
    )
    assert one.etcdctl("member", "list", at=one.members[0]).count("started") == 1


def test_a_member_that_lost_its_data_does_not_begin_again(three: StoreCluster) -> None:
    lost = three.follower()
    wait_for(
        lambda: (
            listed(three, lost)[0] == "started"
            and three.etcdctl("member", "list").count(lost.client_url) == 1
        ),
        60,
        lambda: "it to have told where its clients reach it",
    )
    lost.kill()
    for what, flags, told in (
        (lost.data_dir / "wal", [], "already been bootstrapped, but .* has no log"),
        (lost.data_dir, [], "already been bootstrapped, but .* is empty"),
        (lost.data_dir, [EXISTING], "already been bootstrapped, but .* is empty"),
    ):
        shutil.rmtree(what, ignore_errors=True)
        lost.log.write_text("")
        lost.start(three.members, *flags)
        assert lost.ended() == 1
        assert re.search(told, lost.said())


def test_a_list_of_members_that_is_not_the_clusters_is_refused(one: StoreCluster) -> None:
    newcomer = one.new_member("m2")
    one.etcdctl("member", "add", "m2", f"--peer-urls={newcomer.peer_url}", at=one.members[0])
    other = StoreMember("m3", Path())
    newcomer.start([*one.members, other], EXISTING)
    assert newcomer.ended() == 1
    assert "member count is unequal" in newcomer.said()


def test_a_leader_that_hangs_is_followed_by_another(replacing: StoreCluster) -> None:
    leader = replacing.leader()
    others = [member for member in replacing.members if member is not leader]
    assert leader.process is not None
    leader.process.send_signal(signal.SIGSTOP)
    try:
        replacing.eventually("put", "a", "1", at=others[0])
    finally:
        leader.process.send_signal(signal.SIGCONT)
    assert replacing.eventually("get", "a", at=leader) == "a\n1\n"
