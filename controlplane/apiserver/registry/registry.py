"""The one pipeline that every write of every kind goes through.

    create   identity -> default -> mutate -> default -> prepare -> validate -> reserve -> store
    update   read -> change -> the same -> no-op? -> compare-and-swap, again if somebody was quicker
    delete   read -> check -> plan -> remove, mark or keep, by compare-and-swap

A `change` is a function from the old object to the new one: the body of a PUT, a patch applied, a
binding merged. It runs anew on what is newest for every attempt, and so does everything after it. A
write whose outcome the store does not know is not repeated.

The first attempt at an update or a delete takes the object from the watch cache, which saves a
round of the replicas. It may be old. That shows where it matters: compare-and-swap fails, and then
tells what is newest; and neither an error nor "nothing to do" is concluded from it, but from what
the store says when asked. (As kube-apiserver's GuaranteedUpdate does.)
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import orjson

from podling.aiokit.clock import WallClock
from podling.aiokit.ids import IdSource
from podling.controlplane.apiserver.registry import deletion, object_meta
from podling.controlplane.apiserver.registry.admission import (
    CREATE,
    DELETE,
    UPDATE,
    Admission,
    AdmissionChain,
)
from podling.controlplane.apiserver.registry.write_hooks import NoHook, WriteHook
from podling.controlplane.apiserver.request.authn import User
from podling.controlplane.apiserver.request.options import DeleteOptions, WriteOptions
from podling.controlplane.apiserver.storage import encoded
from podling.controlplane.apiserver.storage.interface import (
    KeyValue,
    OutcomeUnknown,
    Storage,
    WriteResult,
)
from podling.controlplane.apiserver.strategies.strategy import Strategy, WriteContext
from podling.kube import errors, generated_names, meta
from podling.kube.errors import FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object

ATTEMPTS = 5
"""How often a change is tried on what others keep changing; kube-apiserver's figure for patches."""
NAME_ATTEMPTS = 8
"""How many names are drawn for one object."""

_NO_HOOK = NoHook()

#: The lease that a new or changed object of a kind dies with; 0 for none.
LeaseFor = Callable[[Kind], Awaitable[int]]

#: The object as the watch cache has it, perhaps an older state and without its lease; or None.
Remembered = Callable[[Kind, str, str], KeyValue | None]

#: The old object, which is its own, to the new one.
Change = Callable[[Object], Object]


@dataclass(slots=True)
class Call:
    """What one request carries through the pipeline."""

    user: User
    now: float
    """Seconds since 1970 when the request came."""
    options: WriteOptions = field(default_factory=WriteOptions)
    warnings: list[str] = field(default_factory=list)
    """For people, in `Warning` headers."""

    def context(self) -> WriteContext:
        return WriteContext(self.now)


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of a delete."""

    obj: Object
    """Its last state, or the state in which it waits for those who hold it."""
    gone: bool


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the registry works with."""

    storage: Storage
    strategies: Mapping[Kind, Strategy]
    admission: AdmissionChain
    hooks: Mapping[Kind, WriteHook]
    lease_for: LeaseFor
    remembered: Remembered
    clock: WallClock
    ids: IdSource
    dice: Random


class Registry:
    """Reads and writes single objects of all kinds; raises ApiError or StorageError."""

    def __init__(self, parts: Collaborators) -> None:
        self._parts = parts
        self._storage = parts.storage

    def call(self, user: User, options: WriteOptions | None = None) -> Call:
        return Call(user, self._parts.clock(), options or WriteOptions())

    def strategy(self, kind: Kind) -> Strategy:
        return self._parts.strategies[kind]

    async def get(self, kind: Kind, namespace: str, name: str) -> KeyValue:
        """The object as the store holds it now."""
        found = (await self._storage.get(kind.storage_key(namespace, name))).kv
        if found is None:
            raise errors.NotFound(kind=kind, name=name)
        return found

    async def create(self, kind: Kind, namespace: str, obj: Object, call: Call) -> Object:
        """Store a new object; `obj` is consumed."""
        object_meta.check_identity(kind, obj, namespace)
        object_meta.require_name(kind, obj)
        if meta.name(obj):
            return await self._create(kind, namespace, obj, call)
        template = orjson.dumps(obj)
        for _ in range(NAME_ATTEMPTS):
            candidate = orjson.loads(template)
            base = candidate["metadata"]["generateName"]
            name = generated_names.generate(base, self._parts.dice)
            candidate["metadata"]["name"] = name
            try:
                return await self._create(kind, namespace, candidate, call)
            except errors.AlreadyExists:
                continue
        raise errors.AlreadyExists(kind=kind, name=name, generated=True)

    async def _create(self, kind: Kind, namespace: str, obj: Object, call: Call) -> Object:
        strategy, name = self.strategy(kind), meta.name(obj)
        object_meta.begin(obj, uid=self._parts.ids(), now=call.now)
        strategy.default(obj)
        admission = Admission(
            CREATE, kind, namespace, name, obj, None, call.user, dry_run=call.options.dry_run
        )
        await self._parts.admission.mutate(admission)
        strategy.default(obj)
        strategy.prepare_create(obj, call.context())
        _raise_invalid(kind, name, strategy.validate(obj))
        await self._parts.admission.validate(admission)
        _warn(call, strategy.warnings(obj))
        result = await self._store(kind, obj, None, call)
        if not result.succeeded:
            raise errors.AlreadyExists(kind=kind, name=name)
        obj["metadata"]["resourceVersion"] = str(result.revision)
        return obj

    async def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        call: Call,
        *,
        subresource: str = "",
    ) -> Object:
        """Change an object; without any difference nothing is written.

        The changes of `binding` and `finalize` have checked themselves what they do.

        `change` returns a new object each time. If that carries another resourceVersion than it
        was given, its author has seen an older state: a conflict. Without one it may replace any.
        """
        kv, newest = await self._begin(kind, namespace, name, dry_run=call.options.dry_run)
        for _ in range(ATTEMPTS):
            old = encoded.load(kind, kv)
            try:
                new = change(encoded.load(kind, kv))
                _check_version(kind, self.strategy(kind), new, old)
                await self._prepare_update(kind, new, old, call, subresource)
            except errors.ApiError:
                if newest:
                    raise
                new = old
            if new == old:
                if newest:
                    return old
                kv, newest = await self.get(kind, namespace, name), True
                continue
            result = await self._replace(kind, kv, new, old, call)
            if result.succeeded:
                new["metadata"]["resourceVersion"] = str(result.revision)
                return new
            if result.current is None:
                raise errors.NotFound(kind=kind, name=name)
            kv, newest = result.current, True
        raise errors.Conflict(kind=kind, name=name)

    async def _begin(
        self, kind: Kind, namespace: str, name: str, *, dry_run: bool
    ) -> tuple[KeyValue, bool]:
        """What a first attempt works on, and whether that is surely the newest state."""
        # A dry run is never put to the test, and what a hook reserves is not for trying.
        if not dry_run and kind not in self._parts.hooks:
            found = self._parts.remembered(kind, namespace, name)
            if found is not None:
                return found, False
        return await self.get(kind, namespace, name), True

    async def _prepare_update(
        self, kind: Kind, new: Object, old: Object, call: Call, subresource: str
    ) -> None:
        strategy, name = self.strategy(kind), meta.name(old)
        object_meta.check_identity(kind, new, meta.namespace(old), name)
        object_meta.check_uid(kind, new, old)
        object_meta.carry(new, old)
        strategy.default(new)
        admission = Admission(
            UPDATE,
            kind,
            meta.namespace(old),
            name,
            new,
            old,
            call.user,
            subresource,
            call.options.dry_run,
        )
        await self._parts.admission.mutate(admission)
        wrong: list[FieldError] = []
        if subresource == "status":
            strategy.prepare_status(new, old)
            wrong = strategy.validate_status(new, old)
        elif subresource in ("", "scale"):
            strategy.prepare_update(new, old, call.context())
            wrong = object_meta.finalizer_errors(new, old) + strategy.validate_update(new, old)
        _raise_invalid(kind, name, wrong)
        await self._parts.admission.validate(admission)
        _warn(call, strategy.warnings(new))

    async def _replace(
        self, kind: Kind, kv: KeyValue, new: Object, old: Object, call: Call
    ) -> WriteResult:
        """Store the new state, or remove what was only waiting for this change."""
        if deletion.is_finished(kind, new):
            return await self._remove(kind, kv, old, dry_run=call.options.dry_run)
        return await self._store(kind, new, old, call, kv)

    async def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions, call: Call
    ) -> Deleted:
        """Delete an object, or mark it for those who hold it."""
        kv, newest = await self._begin(kind, namespace, name, dry_run=options.dry_run)
        for _ in range(ATTEMPTS):
            old = encoded.load(kind, kv)
            try:
                plan = await self._plan_deletion(kind, kv, options, call)
            except errors.ApiError:
                if newest:
                    raise
                plan = deletion.Keep()
            if isinstance(plan, deletion.Keep):
                if newest:
                    return Deleted(old, gone=False)
                kv, newest = await self.get(kind, namespace, name), True
                continue
            if isinstance(plan, deletion.Remove):
                result = await self._remove(kind, kv, old, dry_run=options.dry_run)
            else:
                result = await self._mark(kind, kv, plan.marked, dry_run=options.dry_run)
            if result.succeeded:
                final = plan.marked if isinstance(plan, deletion.Mark) else old
                final["metadata"]["resourceVersion"] = str(result.revision)
                return Deleted(final, gone=isinstance(plan, deletion.Remove))
            if result.current is None:
                raise errors.NotFound(kind=kind, name=name)
            kv, newest = result.current, True
        raise errors.Conflict(kind=kind, name=name)

    async def _plan_deletion(
        self, kind: Kind, kv: KeyValue, options: DeleteOptions, call: Call
    ) -> deletion.Deletion:
        old = encoded.load(kind, kv)
        deletion.check_preconditions(kind, old, options)
        names = meta.namespace(old), meta.name(old)
        admission = Admission(DELETE, kind, *names, None, old, call.user, dry_run=options.dry_run)
        await self._parts.admission.mutate(admission)
        await self._parts.admission.validate(admission)
        grace = self.strategy(kind).graceful_deletion(old, options.as_object())
        obj = encoded.load(kind, kv)
        return deletion.plan_deletion(kind, obj, options, grace=grace, now=call.now)

    async def _mark(self, kind: Kind, kv: KeyValue, obj: Object, *, dry_run: bool) -> WriteResult:
        if dry_run:
            return WriteResult(True, kv.mod_revision, None)
        return await self._storage.put(
            kv.key, encoded.dump(obj), expected_revision=kv.mod_revision, lease=kv.lease
        )

    async def _remove(self, kind: Kind, kv: KeyValue, old: Object, *, dry_run: bool) -> WriteResult:
        if dry_run:
            return WriteResult(True, kv.mod_revision, None)
        result = await self._storage.delete(kv.key, expected_revision=kv.mod_revision)
        if result.succeeded:
            await self._hook(kind).released(old)
        return result

    async def _store(
        self, kind: Kind, obj: Object, old: Object | None, call: Call, kv: KeyValue | None = None
    ) -> WriteResult:
        """Compare-and-swap `obj` in the place of `kv`, or of nothing."""
        dry_run = call.options.dry_run
        reservation = await self._hook(kind).reserve(obj, old, dry_run=dry_run)
        key = kind.storage_key(meta.namespace(obj), meta.name(obj))
        expected = kv.mod_revision if kv else 0
        if dry_run:
            current = (await self._storage.get(key)).kv
            same = (current.mod_revision if current else 0) == expected
            return WriteResult(same, expected, None if same else current)
        try:
            lease = await self._parts.lease_for(kind)
            result = await self._storage.put(
                key, _dump(kind, obj), expected_revision=expected, lease=lease
            )
        except OutcomeUnknown:
            raise
        except Exception:
            await reservation.give_back()
            raise
        await (reservation.keep() if result.succeeded else reservation.give_back())
        return result

    def _hook(self, kind: Kind) -> WriteHook:
        return self._parts.hooks.get(kind, _NO_HOOK)


def _check_version(kind: Kind, strategy: Strategy, new: Object, old: Object) -> None:
    given = meta.resource_version(new)
    if given and given != "0":
        if given != meta.resource_version(old):
            raise errors.Conflict(kind=kind, name=meta.name(old))
    elif not strategy.allow_unconditional_update:
        missing = FieldError.invalid(
            "metadata.resourceVersion", 0, "must be specified for an update"
        )
        raise errors.Invalid(kind=kind, name=meta.name(old), errors=[missing])


def _raise_invalid(kind: Kind, name: str, wrong: list[FieldError]) -> None:
    if wrong:
        raise errors.Invalid(kind=kind, name=name, errors=wrong)


def _warn(call: Call, warnings: list[str]) -> None:
    """Each warning once, however often the change was tried."""
    call.warnings += [text for text in warnings if text not in call.warnings]


def _dump(kind: Kind, obj: Object) -> bytes:
    try:
        return encoded.dump(obj)
    except (TypeError, ValueError) as error:
        raise errors.BadRequest(
            f"{kind.resource} {meta.name(obj)!r} cannot be stored: {error}"
        ) from error
