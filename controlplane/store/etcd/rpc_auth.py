"""The Auth service."""

from podling.controlplane.etcdpb import auth_pb2
from podling.controlplane.store import auth_requests as rq
from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import identity_of
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store


class AuthService:
    """etcdserverpb.Auth"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._auth = store.auth
        self._writer = writer

    async def auth_enable(
        self, request: auth_pb2.AuthEnableRequest, caller: Caller
    ) -> auth_pb2.AuthEnableResponse:
        done = await self._change(rq.AuthEnableRequest(), caller)
        return auth_pb2.AuthEnableResponse(header=self._writer.header(done.revision))

    async def auth_disable(
        self, request: auth_pb2.AuthDisableRequest, caller: Caller
    ) -> auth_pb2.AuthDisableResponse:
        done = await self._change(rq.AuthDisableRequest(), caller)
        return auth_pb2.AuthDisableResponse(header=self._writer.header(done.revision))

    async def auth_status(
        self, request: auth_pb2.AuthStatusRequest, caller: Caller
    ) -> auth_pb2.AuthStatusResponse:
        status = await self._auth.status(user=await self._user(caller))
        return auth_pb2.AuthStatusResponse(
            header=self._writer.header(status.revision),
            enabled=status.enabled,
            authRevision=status.auth_revision,
        )

    async def authenticate(
        self, request: auth_pb2.AuthenticateRequest, caller: Caller
    ) -> auth_pb2.AuthenticateResponse:
        answer = await self._auth.authenticate(request.name, request.password)
        header = self._writer.header(answer.revision)
        return auth_pb2.AuthenticateResponse(header=header, token=answer.token)

    async def user_add(
        self, request: auth_pb2.AuthUserAddRequest, caller: Caller
    ) -> auth_pb2.AuthUserAddResponse:
        done = await self._auth.user_add(
            request.name,
            request.password,
            hashed_password=request.hashedPassword,
            no_password=request.options.no_password,
            user=await self._user(caller),
        )
        return auth_pb2.AuthUserAddResponse(header=self._writer.header(done.revision))

    async def user_get(
        self, request: auth_pb2.AuthUserGetRequest, caller: Caller
    ) -> auth_pb2.AuthUserGetResponse:
        found = await self._auth.user_get(request.name, user=await self._user(caller))
        header = self._writer.header(found.revision)
        return auth_pb2.AuthUserGetResponse(header=header, roles=found.roles)

    async def user_list(
        self, request: auth_pb2.AuthUserListRequest, caller: Caller
    ) -> auth_pb2.AuthUserListResponse:
        found = await self._auth.user_list(user=await self._user(caller))
        header = self._writer.header(found.revision)
        return auth_pb2.AuthUserListResponse(header=header, users=found.names)

    async def user_delete(
        self, request: auth_pb2.AuthUserDeleteRequest, caller: Caller
    ) -> auth_pb2.AuthUserDeleteResponse:
        done = await self._change(rq.UserDeleteRequest(request.name), caller)
        return auth_pb2.AuthUserDeleteResponse(header=self._writer.header(done.revision))

    async def user_change_password(
        self, request: auth_pb2.AuthUserChangePasswordRequest, caller: Caller
    ) -> auth_pb2.AuthUserChangePasswordResponse:
        done = await self._auth.user_change_password(
            request.name,
            request.password,
            hashed_password=request.hashedPassword,
            user=await self._user(caller),
        )
        return auth_pb2.AuthUserChangePasswordResponse(header=self._writer.header(done.revision))

    async def user_grant_role(
        self, request: auth_pb2.AuthUserGrantRoleRequest, caller: Caller
    ) -> auth_pb2.AuthUserGrantRoleResponse:
        done = await self._change(rq.UserGrantRoleRequest(request.user, request.role), caller)
        return auth_pb2.AuthUserGrantRoleResponse(header=self._writer.header(done.revision))

    async def user_revoke_role(
        self, request: auth_pb2.AuthUserRevokeRoleRequest, caller: Caller
    ) -> auth_pb2.AuthUserRevokeRoleResponse:
        done = await self._change(rq.UserRevokeRoleRequest(request.name, request.role), caller)
        return auth_pb2.AuthUserRevokeRoleResponse(header=self._writer.header(done.revision))

    async def role_add(
        self, request: auth_pb2.AuthRoleAddRequest, caller: Caller
    ) -> auth_pb2.AuthRoleAddResponse:
        done = await self._change(rq.RoleAddRequest(request.name), caller)
        return auth_pb2.AuthRoleAddResponse(header=self._writer.header(done.revision))

    async def role_get(
        self, request: auth_pb2.AuthRoleGetRequest, caller: Caller
    ) -> auth_pb2.AuthRoleGetResponse:
        found = await self._auth.role_get(request.role, user=await self._user(caller))
        header = self._writer.header(found.revision)
        return auth_pb2.AuthRoleGetResponse(
            header=header, perm=[_permission(each) for each in found.permissions]
        )

    async def role_list(
        self, request: auth_pb2.AuthRoleListRequest, caller: Caller
    ) -> auth_pb2.AuthRoleListResponse:
        found = await self._auth.role_list(user=await self._user(caller))
        header = self._writer.header(found.revision)
        return auth_pb2.AuthRoleListResponse(header=header, roles=found.names)

    async def role_delete(
        self, request: auth_pb2.AuthRoleDeleteRequest, caller: Caller
    ) -> auth_pb2.AuthRoleDeleteResponse:
        done = await self._change(rq.RoleDeleteRequest(request.role), caller)
        return auth_pb2.AuthRoleDeleteResponse(header=self._writer.header(done.revision))

    async def role_grant_permission(
        self, request: auth_pb2.AuthRoleGrantPermissionRequest, caller: Caller
    ) -> auth_pb2.AuthRoleGrantPermissionResponse:
        if not request.HasField("perm"):
            raise errors.PermissionNotGiven
        granted = request.perm
        try:
            kind = rq.PermissionType(granted.permType)
        except ValueError as error:
            raise errors.InvalidAuthManagement from error
        change = rq.RoleGrantPermissionRequest(request.name, kind, granted.key, granted.range_end)
        done = await self._change(change, caller)
        return auth_pb2.AuthRoleGrantPermissionResponse(header=self._writer.header(done.revision))

    async def role_revoke_permission(
        self, request: auth_pb2.AuthRoleRevokePermissionRequest, caller: Caller
    ) -> auth_pb2.AuthRoleRevokePermissionResponse:
        change = rq.RoleRevokePermissionRequest(request.role, request.key, request.range_end)
        done = await self._change(change, caller)
        return auth_pb2.AuthRoleRevokePermissionResponse(header=self._writer.header(done.revision))

    async def _user(self, caller: Caller) -> Identity | None:
        return await identity_of(self._store, caller)

    async def _change(self, request: rq.AuthChange, caller: Caller) -> rq.AuthResponse:
        return await self._auth.change(request, user=await self._user(caller))


def _permission(permission: rq.Permission) -> auth_pb2.Permission:
    kind = auth_pb2.Permission.Type.ValueType(permission.type)
    return auth_pb2.Permission(permType=kind, key=permission.key, range_end=permission.range_end)
