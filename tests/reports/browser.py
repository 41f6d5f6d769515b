"""A headless Chromium over a pipe, by the Chrome DevTools protocol: what a page shows, asks for and complains of.

    with Browser(chromium, profile) as browser:
        page = browser.open("file:///...", width=1400)
        page.click("#button")
        assert page.value("document.title") == "..."

Messages are JSON, each ended by a zero byte, on file descriptors 3 (to the browser) and 4 (from it).
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)
_DESCRIPTORS = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
PATIENCE_S = 60.0
KEYS = {
    "Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39,
    "ArrowDown": 40,
}  # fmt: skip


class Browser:
    """One browser process with a profile of its own."""

    def __init__(self, chromium: str, profile: Path) -> None:
        there, back = os.pipe(), os.pipe()
        # Above 9, so that moving them to 3 and 4 overwrites neither.
        reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (there[0], back[1]))
        command = [sys.executable, "-c", _DESCRIPTORS, str(reads), str(writes)]
        command += [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with (profile.parent / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(command, pass_fds=(reads, writes), stdout=log, stderr=log)
        for end in (reads, writes, there[0], back[1]):
            os.close(end)
        self._to, self._from = there[1], back[0]
        self._buffer = bytearray()
        self._last = 0
        self._listeners: dict[str, Callable[[str, dict[str, Any]], None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._send("Browser.close", {}, None)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def open(self, address: str, *, width: int = 1400, height: int = 1000, dark: bool = False) -> "Page":
        """A new page, loaded; its console and its requests are recorded from the beginning."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session, target)
        page.size(width, height)
        page.dark(dark)
        page.go(address)
        return page

    def listen(self, session: str, listener: Callable[[str, dict[str, Any]], None]) -> None:
        """Give the events of a session to a listener as (name, values)."""
        self._listeners[session] = listener

    def call(self, method: str, values: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """Call a method, and return its result. Raises RuntimeError with the browser's message."""
        number = self._send(method, values, session)
        while True:
            message = self.receive()
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def receive(self) -> dict[str, Any]:
        """The next message; an event is given to its listener first. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE_S
        while (end := self._buffer.find(b"\0")) < 0:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser did not answer")
            chunk = os.read(self._from, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser has ended")
            self._buffer += chunk
        message: dict[str, Any] = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        listener = self._listeners.get(message.get("sessionId", ""))
        if "method" in message and listener is not None:
            listener(message["method"], message["params"])
        return message

    def _send(self, method: str, values: dict[str, Any], session: str | None) -> int:
        self._last += 1
        message = {"id": self._last, "method": method, "params": values}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        return self._last


class Page:
    """One tab. `errors` are uncaught exceptions and what the console was told; `requests` all addresses asked for."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        browser.listen(session, self._event)
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")

    def _event(self, name: str, values: dict[str, Any]) -> None:
        if name == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif name == "Runtime.consoleAPICalled":
            self.errors.append(" ".join(str(item.get("value", item.get("description"))) for item in values["args"]))
        elif name == "Log.entryAdded":
            self.errors.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")
        elif name == "Page.loadEventFired":
            self._loaded = True

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """A method of the protocol for this page."""
        return self._browser.call(method, values, self._session)

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", {"targetId": self._target})

    def go(self, address: str) -> None:
        """Load an address, and wait until it is loaded."""
        self._loaded = False
        self.call("Page.navigate", url=address)
        while not self._loaded:
            self._browser.receive()

    def size(self, width: int, height: int) -> None:
        """Set the size of the window in pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, on: bool) -> None:
        """Say which colours the system prefers."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        features.append({"name": "prefers-reduced-motion", "value": "reduce"})
        self.call("Emulation.setEmulatedMedia", features=features)

    def value(self, script: str) -> Any:
        """The value of an expression, which may be a promise. Raises RuntimeError with the page's exception."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            details = done["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return done["result"].get("value")

    def count(self, selector: str) -> int:
        """How many elements fit."""
        found: int = self.value(f"document.querySelectorAll({json.dumps(selector)}).length")
        return found

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that fit."""
        script = f"[...document.querySelectorAll({json.dumps(selector)})].map((item) => item.textContent.trim())"
        found: list[str] = self.value(script)
        return found

    def text(self, selector: str) -> str:
        """The text of the first element that fits."""
        found: str = self.value(f"document.querySelector({json.dumps(selector)}).textContent.trim()")
        return found

    def focused(self) -> str:
        """The text of what has the focus."""
        found: str = self.value("document.activeElement.textContent.trim()")
        return found

    def settle(self) -> None:
        """Wait until what was asked for is drawn: two frames."""
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def center(self, selector: str) -> tuple[float, float]:
        """The middle of the first such element, scrolled into view."""
        found = self.value(
            f"""(() => {{ const item = document.querySelector({json.dumps(selector)});
            if (!item) return null;
            item.scrollIntoView({{ block: "center", inline: "center" }});
            const box = item.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        )
        assert found is not None, f"nothing fits {selector}"
        return found[0], found[1]

    def move(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def hover(self, selector: str) -> None:
        """Move the pointer to the middle of an element."""
        self.move(*self.center(selector))

    def click(self, selector: str) -> None:
        """Press and release the left button in the middle of an element."""
        x, y = self.center(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys one after the other, by the names of `KEYS`."""
        for key in keys:
            text = {"text": "\r"} if key == "Enter" else {}
            common = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 8 if shift else 0}
            self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **common)
        self.settle()

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)
        self.settle()

    def choose(self, selector: str, value: str) -> None:
        """Choose an entry of a list as a reader does: by the value, with the events that follow."""
        self.value(
            f"""(() => {{ const list = document.querySelector({json.dumps(selector)});
            list.value = {json.dumps(value)};
            if (list.value !== {json.dumps(value)}) throw new Error("no such entry");
            list.dispatchEvent(new Event("input", {{ bubbles: true }})); }})()"""
        )
        self.settle()

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as a PNG."""
        done = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(done["data"]))

    def pdf(self, path: Path) -> None:
        """Print to a PDF on A4."""
        done = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        path.write_bytes(base64.b64decode(done["data"]))
