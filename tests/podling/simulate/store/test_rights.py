"""The model of users and roles says what the store's own says, change by change."""

import random

from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity, PermissionType
from podling.controlplane.store.machine.auth.auth_store import AuthStore
from podling.simulate.store.administering import CHANGES, EVERYTHING
from podling.simulate.store.rights import ROOT, Login, Need, Rights

USERS = (ROOT, "alice", "bob")
ROLES = (ROOT, "one", "two")
SPANS = ((b"a", b""), (b"b", b""), EVERYTHING)


def allows(auth: AuthStore, user: str, need: Need) -> bool:
    check = auth.check_read if need.reads else auth.check_write
    try:
        check(Identity(user, auth.revision), need.key, need.range_end)
    except errors.PermissionDenied:
        return False
    return True


def test_it_allows_what_the_store_allows_after_any_changes() -> None:
    answers = set()
    for seed in range(60):
        dice = random.Random(seed)
        auth, rights = AuthStore(), Rights()
        for _ in range(60):
            change = CHANGES[dice.choice(list(CHANGES))]
            kind = PermissionType(dice.randrange(3))
            request = change(dice.choice(USERS), dice.choice(ROLES), dice.choice(SPANS), kind)
            try:
                auth.change(request)
            except errors.StoreError:
                continue
            rights = rights.changed(request)
            for user in USERS:
                need = Need(dice.random() < 0.5, *dice.choice(SPANS))
                allowed = rights.allows(Login(user), [need])
                assert allowed == allows(auth, user, need), f"seed {seed}: {user} {need} {rights}"
                answers.add((rights.enabled, allowed))

    assert answers == {(False, True), (True, False), (True, True)}


def test_a_token_is_good_for_the_password_that_it_was_given_out_for() -> None:
    add = CHANGES["add-user"]("alice", "", EVERYTHING, PermissionType.READ)
    change = CHANGES["change-password"]("alice", "", EVERYTHING, PermissionType.WRITE)
    rights = Rights(enabled=True).changed(add)
    login = Login("alice", "token", frozenset({rights.passwords["alice"].generation}))

    assert rights.allows(login, [])
    assert not rights.changed(change).allows(login, [])
