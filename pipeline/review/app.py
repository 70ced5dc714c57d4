"""The review as a web application, and the server that runs it on this machine only."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from db.engine import DatabaseError
from media.errors import MediaError
from pipeline.collection import Collection
from pipeline.errors import ConfigError, EditConflict, NotAllowed, NotFound, StoriesError
from pipeline.review import api, files, pages, security
from transcripts.errors import TranscriptsError

DEFAULT_PORT = 8765
KNOWN = (StoriesError, MediaError, TranscriptsError, DatabaseError)
"""What the rooms raise on purpose; each is one sentence that a person can act on."""

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 404),
    (NotAllowed, 403),
    (EditConflict, 409),
    (DatabaseError, 503),
)


def create_app(collection: Collection, *, author: str) -> Starlette:
    """The application for one collection; changes are noted in the journal as made by ``author``."""
    token = security.new_token()
    app = Starlette(
        routes=[
            *pages.routes,
            *api.routes,
            *files.routes,
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static"),
        ],
        middleware=[
            Middleware(security.StrictHeaders),
            Middleware(
                TrustedHostMiddleware, allowed_hosts=list(security.LOOPBACK_NAMES), www_redirect=False
            ),
            Middleware(security.SameOriginOnly, token=token),
        ],
        exception_handlers={
            **dict.fromkeys(KNOWN, _known_problem),
            HTTPException: _http_problem,
            Exception: _unknown_problem,
        },
    )
    app.state.collection = collection
    app.state.author = author
    app.state.token = token
    app.state.templates = pages.make_templates()
    return app


def serve(
    collection: Collection,
    *,
    author: str,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    open_browser: bool = False,
    announce: Callable[[str], object] = print,
) -> None:
    """Serve the review until it is interrupted; port 0 takes any free one. ``announce`` is told the address.

    Raises:
        ConfigError: when ``host`` is not loopback, or the port is taken.
    """
    if host not in security.LOOPBACK_NAMES:
        raise ConfigError(
            f"The review is for this machine only and cannot be served on {host}; use 127.0.0.1."
        )
    app = create_app(collection, author=author)
    with _listen(host, port) as listening:
        address = f"http://{host}:{listening.getsockname()[1]}/"
        announce(address)
        if open_browser:
            webbrowser.open(address)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", server_header=False, timeout_graceful_shutdown=3
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that already listens, so that the browser never comes too early."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise ConfigError(
            f"Port {port} on {host} cannot be used ({error.strerror}); is the review open already? "
            "Close it, or give another port."
        ) from error


def _known_problem(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 422)
    return _answer(request, status, str(error))


def _http_problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _answer(
        request, status, "There is nothing here." if status == 404 else "This cannot be done here."
    )


def _unknown_problem(request: Request, error: Exception) -> Response:
    message = (
        f"Something went wrong inside the review ({type(error).__name__}), and the last change may not be "
        "saved. The terminal in which it runs says more."
    )
    answer = _answer(request, 500, message)
    answer.headers.update(security.HEADERS)  # this answer is made outside of StrictHeaders
    return answer


def _answer(request: Request, status: int, message: str) -> Response:
    if request.url.path.startswith(("/api/", "/media/")):
        return JSONResponse({"error": "problem", "message": message}, status_code=status)
    return pages.problem(request, status, message)
