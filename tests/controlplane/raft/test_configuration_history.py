import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.configuration_entry import UnknownConfiguration
from podling.controlplane.raft.configuration_history import ConfigurationHistory
from podling.controlplane.raft.messages import Entry, EntryKind, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration


def of(*voters: int) -> Configuration:
    return Configuration(frozenset(voters))


def change(index: int, configuration: Configuration) -> Entry:
    data = configuration_entry.encode(configuration)
    return Entry(index, 1, EntryKind.CONFIGURATION, data)


def command(index: int) -> Entry:
    return Entry(index, 1, EntryKind.COMMAND, b"")


def test_the_newest_in_the_log_is_in_force() -> None:
    log = [command(3), change(4, of(1, 2)), command(5), change(6, of(1, 2, 3)), command(7)]
    history = ConfigurationHistory(SnapshotMeta(4, 1, of(1, 2)), log)

    assert (history.latest, history.latest_index) == (of(1, 2, 3), 6)
    assert (history.at(5), history.at(6)) == (of(1, 2), of(1, 2, 3))


def test_what_is_cut_off_is_not_in_force_any_more() -> None:
    history = ConfigurationHistory(SnapshotMeta(0, 0, of(1)), [change(1, of(1, 2))])
    history.append([change(2, of(1, 2, 3)), command(3)])

    history.cut(3)
    assert history.latest == of(1, 2, 3)
    history.cut(2)
    assert (history.latest, history.latest_index) == (of(1, 2), 1)


def test_an_unknown_format_is_named() -> None:
    history = ConfigurationHistory(SnapshotMeta(), ())

    with pytest.raises(UnknownConfiguration):
        history.append([Entry(1, 1, EntryKind.CONFIGURATION, b"nonsense")])


@given(st.data())
def test_it_follows_the_log(data: st.DataObject) -> None:
    """Beside a list of all configurations from the beginning on, one for each index."""
    naive = [of(1)]
    history = ConfigurationHistory(SnapshotMeta(0, 0, naive[0]), ())
    kept_from = 0
    for step in data.draw(st.lists(st.sampled_from(["command", "change", "cut", "forget"]))):
        index = len(naive)
        if step == "command":
            naive.append(naive[-1])
            history.append([command(index)])
        elif step == "change":
            naive.append(of(index))
            history.append([change(index, of(index))])
        elif step == "cut" and index - 1 > kept_from:
            first = data.draw(st.integers(kept_from + 1, index - 1))
            del naive[first:]
            history.cut(first)
        else:
            kept_from = data.draw(st.integers(kept_from, index - 1))
            history.forget_before(kept_from)

        assert history.latest == naive[-1]
        assert [history.at(each) for each in range(kept_from, len(naive))] == naive[kept_from:]
