"""The style comes with the page: in its head, and in nothing else that the server sends."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route

from dashboard.styled import Styled

PAGE = ["<html><head><title>x</title></he", "ad><body>é</body></html>"]


def whole(request):
    return Response("".join(PAGE), media_type="text/html", headers={"etag": '"of the page without"'})


class InParts(Response):
    """A page whose body comes in two messages, as that of a large file does."""

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for number, part in enumerate(PAGE, 1):
            await send({"type": "http.response.body", "body": part.encode(), "more_body": number < len(PAGE)})


def in_parts(request):
    return InParts(media_type="text/html")


def script(request):
    return Response("let x = '</head>'", media_type="text/javascript", headers={"etag": '"kept"'})


def asked(path, accept="text/html,*/*;q=0.8", method="GET"):
    """(headers, body) of an answer, as a browser that understands gzip gets it."""
    routes = [Route("/whole", whole), Route("/parts", in_parts), Route("/script", script)]
    app = Starlette(routes=routes, middleware=[Middleware(Styled), Middleware(GZipMiddleware, minimum_size=1)])
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    given = [(b"accept", accept.encode()), (b"accept-encoding", b"gzip")]
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "query_string": b"", "headers": given}

    async def ask():
        await app(scope, receive, send)

    with ThreadPoolExecutor(1) as thread:  # this one may have a running loop: that of a browser of other tests
        thread.submit(asyncio.run, ask()).result()
    headers = {key.decode(): value.decode() for key, value in said[0]["headers"]}
    return headers, b"".join(message.get("body", b"") for message in said)


@pytest.mark.parametrize("path", ["/whole", "/parts"])
def test_page_has_the_style_in_its_head(path):
    headers, body = asked(path)

    head, _, rest = body.decode().partition("</head>")
    assert head.startswith("<html><head><title>x</title><style>") and ".cs-claim" in head
    assert head.count("<script>") == 1 and "history.pushState" in head
    assert rest == "<body>é</body></html>"
    assert headers["content-length"] == str(len(body)) and "content-encoding" not in headers
    assert "etag" not in headers  # a browser that kept the page would not see a new style


@pytest.mark.parametrize(("path", "accept", "method"), [
    ("/script", "text/html", "GET"), ("/whole", "*/*", "GET"), ("/whole", "text/html", "HEAD"),
])  # fmt: skip
def test_other_answers_go_through_untouched(path, accept, method):
    headers, body = asked(path, accept, method)

    assert "etag" in headers and b".cs-claim" not in body
    assert method == "HEAD" or int(headers["content-length"]) == len(body)
