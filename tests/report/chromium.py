"""Drives a headless Chromium through its debugging pipe: nothing to install but the browser itself."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """One page in one browser; `requests` and `complaints` collect what it asked for and what went wrong."""

    def __init__(self, profile: Path) -> None:
        """Start the browser with an empty profile."""
        assert PROGRAM is not None
        from_us, to_browser = os.pipe()
        from_browser, to_us = os.pipe()

        def place_pipes() -> None:
            # The browser reads commands from 3 and answers on 4; copies high up first, so that none is overwritten.
            reading, writing = os.dup(from_us), os.dup(to_us)
            while reading < 5 or writing < 5:
                reading, writing = os.dup(reading), os.dup(writing)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen(
            [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=place_pipes, close_fds=False,
        )  # fmt: skip
        os.close(from_us)
        os.close(to_us)
        self._out, self._in = to_browser, from_browser
        self._rest, self._last_id = b"", 0
        self._events: list[dict] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page = next(t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = None
        self._session = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the browser."""
        self.process.terminate()
        self.process.wait(timeout=20)
        os.close(self._out)
        os.close(self._in)

    def send(self, method: str, **params: object) -> dict:
        """Send a command and wait for its answer."""
        self._last_id += 1
        message: dict = {"id": self._last_id, "method": method, "params": params}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(20)
            if answer.get("id") == self._last_id:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Show a page at a width in CSS pixels, as a phone would below 600."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.send("Page.navigate", url=url)
        end = time.monotonic() + 30
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            assert time.monotonic() < end, f"{url} did not load"
            self._receive(20)

    def evaluate(self, script: str) -> object:
        """The value of a JavaScript expression; promises are awaited."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Save the page as PNG."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _receive(self, timeout: float) -> dict:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], timeout)
            assert ready, "the browser is silent"
            chunk = os.read(self._in, 1 << 16)
            assert chunk, "the browser is gone"
            self._rest += chunk
        raw, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(raw)
        if "method" in message:
            self._note(message)
        return message

    def _note(self, event: dict) -> None:
        self._events.append(event)
        params = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif (
            event["method"] == "Runtime.exceptionThrown"
            or event["method"] == "Log.entryAdded"
            or (event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"))
        ):
            self.complaints.append(json.dumps(params)[:500])
