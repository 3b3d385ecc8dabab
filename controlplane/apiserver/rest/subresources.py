"""Subresources that are not simply a part of their object: scale, binding, eviction, finalize."""

import orjson

from podling.controlplane.apiserver.registry import patching
from podling.controlplane.apiserver.registry.registry import Call, Change, Registry
from podling.controlplane.apiserver.request import bodies, negotiation
from podling.controlplane.apiserver.request.messages import ApiResponse, json_response
from podling.controlplane.apiserver.request.options import WriteOptions, delete_options
from podling.controlplane.apiserver.request.structure import accept
from podling.controlplane.apiserver.rest.objects import Asked, RestObjects, warning_headers
from podling.controlplane.apiserver.storage import encoded
from podling.controlplane.apiserver.strategies import binding, scale
from podling.kube import errors, meta, schema
from podling.kube.kinds import POD, Subresource
from podling.kube.meta import Object


class RestSubresources:
    """Every method raises ApiError or StorageError."""

    def __init__(self, registry: Registry, objects: RestObjects) -> None:
        self._registry = registry
        self._objects = objects

    async def handle(self, asked: Asked, subresource: Subresource) -> ApiResponse:
        match subresource.name, asked.route.verb:
            case "status", "get":
                return await self._objects.get(asked)
            case "status", "update":
                return await self._objects.update(asked)
            case "status", "patch":
                return await self._objects.patch(asked)
            case "scale", "get":
                return await self._get_scale(asked)
            case "scale", "update" | "patch":
                return await self._change_scale(asked, subresource)
            case "binding", "create":
                return await self._bind(asked, subresource)
            case "eviction", "create":
                return await self._evict(asked, subresource)
            case "finalize", "update":
                return await self._finalize(asked)
        raise errors.ApiError(
            f"{asked.kind.plural}/{subresource.name} is not served by this version of Podling",
            code=501,
            reason="NotImplemented",
        )

    async def _get_scale(self, asked: Asked) -> ApiResponse:
        _only_plain(asked)
        kv = await self._registry.get(asked.kind, asked.namespace, asked.name)
        return json_response(scale.scale_of(encoded.load(asked.kind, kv)))

    async def _change_scale(self, asked: Asked, subresource: Subresource) -> ApiResponse:
        _only_plain(asked)
        verb = "PatchOptions" if asked.route.verb == "patch" else "UpdateOptions"
        call = self._objects.call(asked, verb)
        wanted = self._scale_change(asked, subresource, call)

        def change(old: Object) -> Object:
            new = wanted(scale.scale_of(old))
            wrong = scale.validate_scale(new)
            if wrong:
                raise errors.Invalid(
                    kind=None, name=asked.name, errors=wrong, kind_name="Scale.autoscaling"
                )
            return scale.apply_scale(old, new)

        updated = await self._registry.update(
            asked.kind, asked.namespace, asked.name, change, call, subresource="scale"
        )
        return json_response(scale.scale_of(updated), headers=warning_headers(call.warnings))

    def _scale_change(self, asked: Asked, subresource: Subresource, call: Call) -> Change:
        """What the request does to a Scale."""
        if asked.route.verb == "update":
            body = orjson.dumps(self._body(asked, subresource, call))
            return lambda _: _loads(body)
        request, type_name = asked.request, _type_name(subresource)
        patch_type = negotiation.patch_type(request.header("content-type"), patching.SUPPORTED)
        patch, duplicates = patching.decode(request.body)

        def change(old: Object) -> Object:
            new = patching.apply(asked.kind, patch_type, patch, old, type_name)
            found = accept(
                asked.kind,
                new,
                validation=call.options.field_validation,
                duplicates=duplicates,
                type_name=type_name,
            )
            call.warnings += [text for text in found if text not in call.warnings]
            return new

        return change

    async def _bind(self, asked: Asked, subresource: Subresource) -> ApiResponse:
        call = self._objects.call(asked, "CreateOptions")
        body = self._body(asked, subresource, call)
        _check_names(asked, body)
        wrong = binding.validate_binding(body)
        if wrong:
            raise errors.Invalid(kind=None, name=asked.name, errors=wrong, kind_name="Binding")
        await self._registry.update(
            POD,
            asked.namespace,
            asked.name,
            lambda pod: binding.bind(pod, body, call.now),
            call,
            subresource="binding",
        )
        return json_response(_success(), status=201)

    async def _evict(self, asked: Asked, subresource: Subresource) -> ApiResponse:
        """There are no disruption budgets yet, so an eviction is a deletion."""
        call = self._objects.call(asked, "CreateOptions")
        body = self._body(asked, subresource, call)
        _check_names(asked, body)
        options = delete_options({}, body.get("deleteOptions") or {})
        if call.options.dry_run or options.dry_run:
            call.options = WriteOptions(dry_run=True)
        await self._registry.delete(POD, asked.namespace, asked.name, options, call)
        return json_response(_success(), status=201)

    async def _finalize(self, asked: Asked) -> ApiResponse:
        """Replaces `spec.finalizers` of a namespace, and nothing else."""
        call = self._objects.call(asked, "UpdateOptions")
        body = self._objects.body(asked, call)
        finalizers = (body.get("spec") or {}).get("finalizers") or []
        version = meta.resource_version(body)

        def change(old: Object) -> Object:
            spec = {**(old.get("spec") or {}), "finalizers": finalizers}
            if not finalizers:
                spec.pop("finalizers")
            metadata = {**old["metadata"], "resourceVersion": version or meta.resource_version(old)}
            return {**old, "metadata": metadata, "spec": spec}

        updated = await self._registry.update(
            asked.kind, "", asked.name, change, call, subresource="finalize"
        )
        return self._objects.written(asked, updated, call)

    def _body(self, asked: Asked, subresource: Subresource, call: Call) -> Object:
        request = asked.request
        decoded = bodies.decode(request.header("content-type"), request.body)
        given = decoded.obj.get("kind") or subresource.kind
        if given != subresource.kind:
            raise errors.BadRequest(f"the body must be a {subresource.kind}, not a {given}")
        call.warnings += accept(
            asked.kind,
            decoded.obj,
            validation=call.options.field_validation,
            duplicates=decoded.duplicates,
            type_name=_type_name(subresource),
        )
        return decoded.obj


def _only_plain(asked: Asked) -> None:
    """A Scale is shown as it is, never as a Table."""
    negotiation.negotiate(asked.request.header("accept"), negotiation.ONLY_PLAIN)


def _check_names(asked: Asked, body: Object) -> None:
    """The body of a pod's subresource may name the pod, and then must name this one."""
    for what, given, expected in (
        ("name", meta.name(body), asked.name),
        ("namespace", meta.namespace(body), asked.namespace),
    ):
        if given and given != expected:
            raise errors.BadRequest(
                f"the {what} of the object ({given}) does not match the {what} on the URL "
                f"({expected})"
            )


def _type_name(subresource: Subresource) -> str:
    name = schema.type_named(subresource.api_version, subresource.kind)
    assert name is not None, subresource
    return name


def _loads(body: bytes) -> Object:
    obj: Object = orjson.loads(body)
    return obj


def _success() -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
