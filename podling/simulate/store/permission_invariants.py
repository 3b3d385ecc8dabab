"""What users may rely on, and what may be relied on about users.

Nothing is written by who may not, as of the moment at which it is applied. Nothing is read by who
could not have read it at any moment since the client asked: a change that was committed before
counts at every member, however late it hears of it.
"""

from collections.abc import Sequence
from typing import Any, get_args

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store.errors import PermissionDenied
from podling.simulate.revision_order import may_be_stale
from podling.simulate.store.committed_history import Committed
from podling.simulate.store.rights import Login, Rights, needs_of
from podling.simulate.store.traces import Trace


class PermissionInvariants:
    """Follows the committed commands, each when it is applied first."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._states = [Rights()]
        """After each change, in order."""

    @property
    def changes(self) -> int:
        """How many there have been."""
        return len(self._states) - 1

    def applied(self, command: Committed) -> None:
        now, request = self._states[-1], command.request
        is_change = isinstance(request, get_args(auth.AuthChange))
        needs = needs_of(request)
        if now.enabled and (is_change or needs is not None):
            who = Login(command.who.user) if command.who is not None else Login("")
            allowed = now.is_root(who.user) if needs is None else now.allows(who, needs)
            if not allowed and not command.refused:
                self._fail("nobody does what he may not", who, request, [now])
            if allowed and isinstance(command.result, PermissionDenied):
                self._fail("who may do it is not refused", who, request, [now])
        if is_change and not command.refused:
            self._trace.note("users", str(request))
            self._states.append(now.changed(request))

    def served(self, who: Login, request: Any, since: int) -> None:
        """`who` has been answered; `since` is `changes` when it asked."""
        needs = needs_of(request)
        states = self._states[0 if may_be_stale(request) else since :]
        if needs is not None and not any(state.allows(who, needs) for state in states):
            self._fail("nobody does what he may not", who, request, states)

    def denied(self, who: Login, request: Any, since: int) -> None:
        """`who` has been told that it may not."""
        needs, states = needs_of(request), self._states[since:]
        if needs is None or may_be_stale(request):
            return
        if all(state.allows(who, needs) for state in states):
            self._fail("who may do it is not refused", who, request, states)

    def logged_in(self, user: str, hashed: bytes, since: int) -> frozenset[int]:
        """`user` was given a token for this password; of which generations it may be."""
        fitting = {
            state.passwords[user].generation
            for state in self._states[since:]
            if user in state.roles_of and state.passwords[user].hashed == hashed
        }
        if not fitting:
            self._trace.fail(
                "who logs in knows the password",
                f"{user} logged in by {hashed!r}, which was not it",
            )
        return frozenset(fitting)

    def _fail(self, invariant: str, who: Login, request: Any, states: Sequence[Rights]) -> None:
        self._trace.fail(invariant, f"{who} {request} while {', '.join(map(str, states))}")
