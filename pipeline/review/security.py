"""What keeps other web pages out: a token for every change, same-origin checks, and strict headers.

The review listens on loopback, yet any page open in the same browser could send requests to it. So names
other than loopback's are refused (a name that resolves to 127.0.0.1 is not enough), a change needs the token
that only the review's own pages can read, and the browser is told to load nothing from elsewhere.
"""

from __future__ import annotations

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost")
TOKEN_HEADER = "X-Stories-Token"  # noqa: S105 - a header's name, not a secret
READING = frozenset({"GET", "HEAD"})

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def new_token() -> str:
    """A token for one run of the review: 256 random bits."""
    return secrets.token_urlsafe(32)


class StrictHeaders:
    """Puts the headers above on every response; what says nothing about caching is never cached."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the response back with the headers added."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SameOriginOnly:
    """Refuses changes that another page may have caused: foreign origin, or no token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let reading pass, and changes that come from the review's own pages."""
        if scope["type"] != "http" or scope["method"] in READING:
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        if _foreign(scope["scheme"], headers):
            return _refuse("foreign", "Changes are taken only from the review's own pages.")
        given = headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return _refuse("token", "The review was started again since this page was opened; reload it.")
        return None


def _foreign(scheme: str, headers: Headers) -> bool:
    """Whether the browser says that the request comes from another origin."""
    own = f"{scheme}://{headers.get('host', '')}"
    return headers.get("origin", own) != own or headers.get("sec-fetch-site", "same-origin") != "same-origin"


def _refuse(error: str, message: str) -> JSONResponse:
    return JSONResponse({"error": error, "message": message}, status_code=403)
