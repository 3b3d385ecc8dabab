"""Alarms: what a member has found wrong with itself (etcd: server/etcdserver/api/v3alarm).

They are replicated, so that every member refuses the same commands from the same one on, and stay
until somebody has looked and taken them back:

    NOSPACE   a member is over its quota: nothing that adds to the store
    CORRUPT   a member has other keys than the leader: nothing at all
"""

from collections.abc import Iterable

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.requests import Alarm, AlarmAction, AlarmRequest, AlarmType

_ALL_BUT_RENEWALS = (
    rq.PutRequest,
    rq.DeleteRangeRequest,
    rq.TxnRequest,
    rq.CompactionRequest,
    rq.LeaseGrantRequest,
    rq.LeaseRevokeRequest,
    rq.LeaseExpireRequest,
)


class Alarms:
    """Which member has raised which alarm."""

    def __init__(self, raised: Iterable[Alarm] = ()) -> None:
        self._raised = dict.fromkeys(raised)

    def __len__(self) -> int:
        return len(self._raised)

    def __contains__(self, alarm: object) -> bool:
        return alarm in self._raised

    def listed(self, kind: AlarmType = AlarmType.NONE) -> list[Alarm]:
        """All of a kind, or all; by kind and member."""
        return sorted(
            (each for each in self._raised if kind in (AlarmType.NONE, each.type)),
            key=lambda each: (each.type, each.member_id),
        )

    def change(self, request: AlarmRequest) -> list[Alarm]:
        """Raise or take back an alarm; return what was raised (before too) or taken back."""
        alarm = Alarm(request.member_id, request.type)
        if request.action == AlarmAction.ACTIVATE:
            if alarm.type == AlarmType.NONE:
                return []
            self._raised[alarm] = None
            return [alarm]
        if alarm not in self._raised:
            return []
        del self._raised[alarm]
        return [alarm]

    def check(self, request: object) -> None:
        """Raises Corrupt and NoSpace if no such command is carried out now."""
        kinds = {each.type for each in self._raised}
        if AlarmType.CORRUPT in kinds and isinstance(request, _ALL_BUT_RENEWALS):
            raise errors.Corrupt
        if AlarmType.NOSPACE in kinds and adds(request):
            raise errors.NoSpace


def adds(request: object) -> bool:
    """Whether the command makes the store larger for good."""
    if isinstance(request, rq.TxnRequest):
        return rq.has_puts(request)
    return isinstance(request, rq.PutRequest | rq.LeaseGrantRequest)
