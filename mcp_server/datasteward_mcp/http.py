"""Streamable HTTP: bearer token, Host and Origin checks, both protocol eras."""

import hmac
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"
MAX_SESSIONS = 200
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class BearerToken:
    """Lets a request through when it carries the token; 401 with `WWW-Authenticate` otherwise."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI request."""
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refusal = JSONResponse(
                    {"error": "unauthorized", "message": "Send the bearer token in the Authorization header."},
                    status_code=401,
                    headers={"WWW-Authenticate": 'Bearer realm="datasteward"'},
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def build_app(
    server: Server[Any],
    *,
    host: str,
    port: int,
    token: str | None,
    allowed_hosts: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
) -> ASGIApp:
    """The ASGI application; only requests for this host (with its port) or an allowed one are served."""
    names = [*_LOCAL_HOSTS, *([host] if host not in _LOCAL_HOSTS and host not in {"0.0.0.0", "::", "::1"} else [])]  # noqa: S104
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[*(f"{name}:{port}" for name in names), *allowed_hosts],
        allowed_origins=[*(f"http://{name}:{port}" for name in names), *allowed_origins],
    )
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH, transport_security=security, host=host, max_sessions=MAX_SESSIONS
    )
    return BearerToken(app, token) if token is not None else app


async def serve_http(
    server: Server[Any],
    *,
    host: str,
    port: int,
    token: str | None,
    allowed_hosts: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
    announce: Callable[[str], None],
) -> None:
    """Serve until interrupted; `announce` is told the URL once the port is bound (port 0 takes a free one)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    bound = listener.getsockname()[1]
    app = build_app(
        server, host=host, port=bound, token=token, allowed_hosts=allowed_hosts, allowed_origins=allowed_origins
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    shown = f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{bound}{PATH}")
    await uvicorn.Server(config).serve(sockets=[listener])
