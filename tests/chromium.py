"""A headless Chromium for tests, driven by chromedriver's WebDriver protocol."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--proxy-server=127.0.0.1:9",  # nothing listens there: a page that fetches anything fails
)  # fmt: skip
WHY_NOT = "no chromium with chromedriver found (Debian: apt-get install chromium chromium-driver)"


def installed() -> bool:
    """Whether both programs are there."""
    return bool(shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("google-chrome")))


class Browser:
    """One session; a context manager that ends the browser it started."""

    def __init__(self, folder: Path, width: int = 1200, height: int = 900) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._base = f"http://127.0.0.1:{port}"
        self._await()
        arguments = [*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"]
        options = {
            "args": arguments,
            "binary": shutil.which("chromium") or shutil.which("google-chrome"),
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self._base += f"/session/{session}"

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(20)

    def _await(self) -> None:
        for _ in range(200):
            try:
                self._call("GET", "/status")
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("chromedriver does not answer")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=90) as answer:
            return json.loads(answer.read())["value"]

    def open(self, page: Path) -> None:
        """Load a file."""
        self._call("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that `script`, the body of a function, returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def prefer(self, scheme: str) -> None:
        """Let the page believe that its reader prefers "dark" or "light"."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": media})

    def screenshot(self, path: Path | None = None, whole: bool = False) -> bytes:
        """The window, or the whole page, as PNG."""
        if whole:
            parameters = {"format": "png", "captureBeyondViewport": True}
            cdp = {"cmd": "Page.captureScreenshot", "params": parameters}
            data = base64.b64decode(self._call("POST", "/goog/cdp/execute", cdp)["data"])
        else:
            data = base64.b64decode(self._call("GET", "/screenshot"))
        if path:
            path.write_bytes(data)
        return data

    def errors(self) -> list[str]:
        """What the page's console said of severity SEVERE."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
