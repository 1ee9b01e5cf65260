"""What stands in the head of the page that the server sends, before anything is drawn: the program's style, and the
script that keeps the browser's history (address.js), which has to be there before Streamlit writes to it.

Style that comes with a run of the page arrives after its first widgets, and everything moves once more under the mouse.
Streamlit's own rules come later in the head: one that overrides them names two classes.
"""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STYLE, _SCRIPT = (Path(__file__).with_name(name).read_text("utf-8") for name in ("app.css", "address.js"))
_HEAD = f"<style>{_STYLE}</style><script>{_SCRIPT}</script>".encode()


class Styled:
    """Middleware that puts both into the page that a browser asks for; all other answers go through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        start: Message | None = None  # held back until the length of the body is known
        body = b""

        async def styled(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is None or message["type"] != "http.response.body":
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    body = body.replace(b"</head>", _HEAD + b"</head>", 1)
                    headers = MutableHeaders(raw=start["headers"])
                    headers["content-length"] = str(len(body))
                    del headers["etag"], headers["last-modified"]  # they are of the page without them
                    await send(start)
                    await send({"type": "http.response.body", "body": body})

        if (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and "text/html" in Headers(scope=scope).get("accept", "")
        ):
            plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            await self._app({**scope, "headers": plain}, receive, styled)
        else:
            await self._app(scope, receive, send)


def _is_page(start: Message) -> bool:
    is_html = MutableHeaders(raw=start["headers"]).get("content-type", "").startswith("text/html")
    return start["status"] == 200 and is_html
