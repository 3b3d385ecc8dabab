"""What alarms mean: without space nothing is added, and nobody is said to differ who does not."""

from podling.controlplane.store import requests as rq
from podling.controlplane.store.errors import NoSpace
from podling.controlplane.store.requests import Alarm, AlarmAction, AlarmType
from podling.simulate.store.committed_history import Committed
from podling.simulate.store.traces import Trace


class AlarmInvariants:
    """Follows the committed commands, each when it is applied first."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._raised: set[Alarm] = set()

    def applied(self, command: Committed) -> None:
        request, result = command.request, command.result
        if isinstance(request, rq.AlarmRequest) and not command.refused:
            self._change(request)
        elif self._raised and _adds(request) and not command.refused:
            self._trace.fail(
                "nothing is added without space", f"{request} was carried out in spite of an alarm"
            )
        elif isinstance(result, NoSpace) and not (self._raised and _adds(request)):
            self._trace.fail(
                "only what adds wants space", f"{request} was refused, alarms: {self._raised}"
            )

    def _change(self, request: rq.AlarmRequest) -> None:
        alarm = Alarm(request.member_id, request.type)
        self._trace.note("alarm", f"{request.action.name} {alarm}")
        if request.action != AlarmAction.ACTIVATE:
            self._raised.discard(alarm)
            return
        self._raised.add(alarm)
        if alarm.type is AlarmType.CORRUPT:
            self._trace.fail("members are equal", f"member {alarm.member_id} says that it differs")


def _adds(request: object) -> bool:
    """Whether it may make the store larger for good."""
    if isinstance(request, rq.TxnRequest):
        return any(_adds(each) for each in (*request.success, *request.failure))
    return isinstance(request, rq.PutRequest | rq.LeaseGrantRequest)
