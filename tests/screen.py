"""The dashboard without a browser: opened at an address, and what a reader sees on it."""

import html
import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).parent.parent / "dashboard" / "app.py")


def open_app(page=None, **query):
    """The program at a page, the first one where none is named, with these parts of an address."""
    app = AppTest.from_file(APP, default_timeout=120)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    return app.switch_page(page).run() if page else app


def bodies(app):
    """What the page wrote as HTML; that there is no traceback is checked on the way."""
    assert not app.exception, [error.message for error in app.exception]
    return [element.proto.body for element in app.get("html") if not element.proto.body.startswith("<style>")]


def said(app):
    """All sentences on the page, as a reader sees them."""
    return html.unescape(re.sub(r"<[^>]*>", "", "\n".join(bodies(app))))
