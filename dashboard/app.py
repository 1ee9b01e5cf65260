"""The dashboard's frame: which pages exist, and the one place where an InspectorError becomes a sentence on screen.

    python -m streamlit run dashboard/app.py

The server imports this file for `app`, which answers the overlay's own questions beside Streamlit and reads what a
newcomer opens with before one is there; each run of a page executes it as a script.
"""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread

# `streamlit run` puts this folder on the path, not the project's: without this it takes a `pip install -e .` first.
sys.path[:0] = [root] if (root := str(Path(__file__).parent.parent)) not in sys.path else []

import streamlit as st  # noqa: E402 - the path comes first
from starlette.middleware import Middleware  # noqa: E402

from dashboard import cards, data, pickers, state, texts  # noqa: E402
from dashboard.link import copy_link  # noqa: E402
from dashboard.overlay.serve import ROUTES  # noqa: E402
from dashboard.styled import Styled  # noqa: E402
from inspector.recording import InspectorError  # noqa: E402

_PATIENCE = 60.0  # seconds; reading takes a second or two where its loops are compiled


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config("Charscope", layout="wide", initial_sidebar_state="collapsed")
    cards.frame()
    page = st.navigation(
        [
            st.Page("app_pages/read.py", title="Read", default=True),
            st.Page("app_pages/find.py", title="Find"),
            st.Page("app_pages/neurons.py", title="Neurons"),
            st.Page("app_pages/neuron.py", title="Neuron"),
            st.Page("app_pages/gates.py", title="Gates"),
            st.Page("app_pages/networks.py", title="Networks"),
            st.Page("app_pages/training.py", title="Training"),
            st.Page("app_pages/tour.py", title="Tour"),
        ],
        position="top",
    )
    above = st.container()
    try:
        page.run()
    except InspectorError as error:
        cards.notes([str(error)])
    except cards.StillReading:  # a bar stands there
        pass
    with above:
        cards.notes(state.notes())
    with st.container(key="frame_link", width="content"):  # app.css puts it into the upper right corner
        copy_link()


@asynccontextmanager
async def _served(_app: st.App) -> AsyncIterator[None]:
    """From the server's start to its end."""
    _answer_at_once()
    Thread(target=_make_ready, daemon=True, name="what a newcomer opens with").start()
    yield


def _answer_at_once() -> None:
    """Have no part of an answer wait until the browser has said that it got the part before.

    A browser takes up to 40 ms to say so, and the head of an answer leaves before its body (Nagle's algorithm, RFC 896,
    and delayed acknowledgement, RFC 1122). asyncio asks for this itself, but not of sockets as Streamlit opens them;
    those that are accepted have it from the one that listens.
    """
    for one in gc.get_objects():
        if isinstance(one, socket.socket) and one.family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):  # closed
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _make_ready() -> None:
    """Have the first network read the text that it opens with: a newcomer would wait for that, and for torch.

    Streamlit collects garbage after each run of a page, and no thread of the server goes on meanwhile: a quarter of a
    second where it looks at all that torch and numba are made of. What is there now stays, and is not looked at again.
    """
    with suppress(InspectorError):  # whoever opens the page is told
        if (name := data.first_network()) is not None:
            job = data.begin_reading(data.network(name), texts.load_text(pickers.first_text(name)))
            if job is not None:
                job.wait(_PATIENCE)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
else:
    app = st.App(__file__, routes=ROUTES, middleware=[Middleware(Styled)], lifespan=_served)
