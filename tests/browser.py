# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A real browser without a window: Debian's Chromium, driven through a pair of pipes.

https://chromedevtools.github.io/devtools-protocol/ with --remote-debugging-pipe: messages are JSON, with a NUL behind
each. Chromium reads them from descriptor 3, and writes answers and events to 4.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import pathlib
import select
import subprocess
import time
from typing import Any

#: How many seconds an answer may take.
PATIENCE = 60


class BrowserError(Exception):
    """The browser did not do what it was asked. The message says why."""


class Browser:
    """Chromium with one page.

    Attributes:
        requests: The addresses that the page has asked for.
        complaints: What it has written to its console, and its uncaught errors.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Start it.

        Args:
            folder: Where it may write what it likes.
        """
        to_browser, self._commands = os.pipe()
        self._answers, from_browser = os.pipe()
        self._read = b""
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        program = [
            "chromium",
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",  # it does not start as root otherwise; the page is ours
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
        ]
        # A shell, because Python would close 3 and 4 again, or take them for something else.
        words = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", words, "bash", str(to_browser), str(from_browser), *program],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
        )
        os.close(to_browser)
        os.close(from_browser)
        self._session = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        os.close(self._commands)
        os.close(self._answers)
        self._process.kill()
        self._process.wait()

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have it do something, and return its answer.

        Raises:
            BrowserError: It cannot, or does not answer.
        """
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        while True:
            said = self._next()
            if said.get("id") == number:
                if "error" in said:
                    raise BrowserError(f"{method}: {said['error']['message']}")
                result: dict[str, Any] = said["result"]
                return result

    def open(self, path: pathlib.Path) -> float:
        """Open a file, and return how many seconds passed until it was loaded and drawn."""
        began = time.monotonic()
        self.ask("Page.navigate", url=path.as_uri())
        loaded = "document.readyState === 'complete' && location.protocol === 'file:'"
        while not self.evaluate(loaded):
            time.sleep(0.01)
        self.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(1))))")
        return time.monotonic() - began

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page; of a promise, what it is fulfilled with.

        Raises:
            BrowserError: It threw something.
        """
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        said = self.ask("Runtime.evaluate", **asked)
        if "exceptionDetails" in said:
            raise BrowserError(json.dumps(said["exceptionDetails"])[:2000])
        return said["result"].get("value")

    def scheme(self, name: str) -> None:
        """Have the page think that its reader prefers `light` or `dark`."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, width: int, height: int) -> bytes:
        """Return the page's upper part as PNG."""
        size = {"width": width, "height": height}
        self.ask("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            if not select.select([self._answers], [], [], PATIENCE)[0]:
                raise BrowserError(f"Chromium said nothing for {PATIENCE} s")
            found = os.read(self._answers, 1 << 20)
            if not found:
                raise BrowserError(f"Chromium has ended, with {self._process.wait()}")
            self._read += found
        line, _nul, self._read = self._read.partition(b"\0")
        said: dict[str, Any] = json.loads(line)
        self._note(said.get("method", ""), said.get("params", {}))
        return said

    def _note(self, method: str, about: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(about["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(about["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(about["entry"]["text"])
