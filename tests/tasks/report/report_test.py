#!/usr/bin/env python3
"""Opens the report in headless Chromium, clicks, hovers, and reads the page back.

Usage: report_test.py PROGRAM [CHROMIUM]: report_test, which makes the page. Exits with 77, which
stands for skipped, where there is no Chromium. Speaks the DevTools protocol over a pipe: messages
are JSON, each ended by a zero byte.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading


class Browser:
    def __init__(self, program, folder):
        to_read, self.to_write = os.pipe()
        self.to_listen, from_write = os.pipe()

        def fds():  # the browser reads from 3 and writes to 4
            reading, writing = os.dup(to_read), os.dup(from_write)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--window-size=1200,1600", "--hide-scrollbars",
             f"--user-data-dir={folder}/profile", "about:blank"],
            preexec_fn=fds, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.buffer, self.number, self.session, self.events = b"", 0, None, []
        # A browser that hangs must not hang the tests.
        self.limit = threading.Timer(120, self.process.kill)
        self.limit.start()

    def receive(self):
        while b"\0" not in self.buffer:
            part = os.read(self.to_listen, 65536)
            if not part:
                raise SystemExit("report_test: the browser has ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"report_test: {method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"report_test: {expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def center(self, selector):
        """Where an element is, once it has been scrolled to; in the page's own pixels."""
        return self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return {x: b.x + b.width / 2, y: b.y + b.height / 2}; })()")

    def mouse(self, kind, at, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=at["x"], y=at["y"], **more)

    def hover(self, selector):
        self.mouse("mouseMoved", self.center(selector))

    def click(self, selector):
        at = self.center(selector)
        self.mouse("mouseMoved", at)
        self.mouse("mousePressed", at, button="left", buttons=1, clickCount=1)
        self.mouse("mouseReleased", at, button="left", clickCount=1)

    def key(self, name):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name)

    def close(self):
        self.limit.cancel()
        self.process.kill()
        self.process.wait()


def expect(found, wanted, what):
    if found != wanted:
        raise SystemExit(f"report_test: {what}: found {found!r}, expected {wanted!r}")


WEIGHTS = "[...document.querySelectorAll('.map .cell')].map((c) => c.dataset.weight)"
PRESSED = "document.querySelector('.heads [aria-pressed=true]').textContent"


def check(browser):
    title = browser.value("document.title")
    if not title.startswith("run </script>"):
        raise SystemExit(f"report_test: the title is {title!r}")
    expect(browser.value("document.querySelectorAll('section .view > *').length"), 5, "views")
    expect(browser.value("document.querySelectorAll('.panel').length"), 3, "panels")
    expect(browser.value("document.querySelector('.facts dd').textContent"), "38.2", "a fact")

    # Heads: the weights on the diagonal are 0.1, 0.2, 0.3; the mean is 0.2.
    diagonal = WEIGHTS + ".filter((_, i) => i % 4 === 0).join()"
    expect(browser.value(PRESSED), "head 1", "the head at the start")
    expect(browser.value(diagonal), "0.1000,0.1000,0.1000", "head 1")
    browser.click(".heads button[data-head='2']")
    expect(browser.value(PRESSED), "head 3", "the head that was clicked")
    expect(browser.value(diagonal), "0.3000,0.3000,0.3000", "head 3")
    browser.key("ArrowRight")
    expect(browser.value(PRESSED), "mean", "the head to the right")
    expect(browser.value(diagonal), "0.2000,0.2000,0.2000", "the mean of the heads")
    browser.key("ArrowRight")
    expect(browser.value(PRESSED), "head 1", "the first again")
    painted = ("(() => { const c = document.querySelectorAll('.heads canvas')[2];"
               "return c.getContext('2d').getImageData(0, 0, 1, 1).data[3]; })()")
    expect(browser.value(painted) > 100, True, "the thumbnail of head 3 is drawn")

    browser.hover(".map .cell[data-row='2'][data-column='0']")
    expect(browser.value("document.getElementById('tooltip').hidden"), False, "the tooltip")
    expect(browser.value("document.getElementById('tooltip').textContent"), ". → ein 0.0500",
           "the tooltip's text")
    expect(browser.value("[...document.querySelectorAll('.map .lit')].map((t) => t.textContent).join()"),
           "ein,.", "the labels that are lit")
    browser.hover("h1")
    expect(browser.value("document.getElementById('tooltip').hidden"), True, "the tooltip, gone")

    browser.click(".layers button:nth-child(2)")
    expect(browser.value(WEIGHTS + ".join()"), "0.2500,0.2500,0.2500,0.2500,NaN,0.2500", "layer 2")
    expect(browser.value("document.querySelectorAll('.map .bad').length"), 1, "the weight that is none")
    expect(browser.value("document.querySelectorAll('.heads button').length"), 1,
           "one head needs no mean")

    # A sentence that was chosen is shown, with the layers that it has.
    browser.value("(() => { const s = document.querySelector('.attention select');"
                  "s.selectedIndex = 1; s.dispatchEvent(new Event('change')); })()")
    expect(browser.value("document.querySelector('.sentences dd').textContent"), "zweiter Satz",
           "the second sentence")
    expect(browser.value("document.querySelectorAll('.layers button').length"), 1, "its layers")

    # Curves: the figures follow the pointer. At the left edge the loss is 3, at rest the last, 1.
    loss = "document.querySelector('.panel .legend b').textContent"
    expect(browser.value(loss), "1", "the last loss")
    at = browser.center(".panel svg")
    left = browser.value("document.querySelector('.panel svg').getBoundingClientRect().x")
    browser.mouse("mouseMoved", {"x": left + 52, "y": at["y"]})
    expect(browser.value(loss), "3", "the loss under the pointer")

    check_pictures(browser)
    light = browser.value("getComputedStyle(document.body).backgroundColor")
    browser.click("#theme")
    if browser.value("getComputedStyle(document.body).backgroundColor") == light:
        raise SystemExit("report_test: the button for light and dark does nothing")


def check_quiet(browser):
    """The page has neither failed nor asked for anything."""
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            raise SystemExit(f"report_test: {params['exceptionDetails']}")
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            raise SystemExit(f"report_test: {params['entry']['text']}")
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:")):
                raise SystemExit(f"report_test: the page asks for {url}")


PIXEL = ("(() => {{ const c = document.querySelector('.pictures .large');"
         "return [...c.getContext('2d').getImageData({} * c.width, 0.3 * c.height, 1, 1).data]"
         ".slice(0, 3); }})()")
WORD = "document.querySelector('.pictures [aria-pressed=true] span').textContent"


def check_pictures(browser):
    ready = "document.querySelector('.pictures .large').dataset.ready"
    while browser.value(ready) != "1":
        pass
    expect(browser.value("document.querySelectorAll('.pictures .words button').length"), 2, "words")
    expect(browser.value(WORD), "red", "the word at the start")
    left, right = browser.value(PIXEL.format(0.15)), browser.value(PIXEL.format(0.85))
    expect(left[0] > 180 and left[2] < 60, True, f"the left is lit, in red: {left}")
    expect(right[2] < 110 and right[0] < 60, True, f"the right is dark: {right}")
    browser.click(".pictures .words button[data-word='1']")
    left, right = browser.value(PIXEL.format(0.15)), browser.value(PIXEL.format(0.85))
    expect(left[0] < 140, True, f"the left is dark: {left}")
    expect(right[2] > 140, True, f"the right is lit: {right}")
    browser.key("ArrowRight")
    expect(browser.value(WORD), "red", "the first word after the last")
    browser.hover(".pictures .large")
    expect("row 1, column" in browser.value("document.getElementById('tooltip').textContent"), True,
           "the tooltip of a place")
    browser.value("(() => { const s = document.querySelector('.pictures select');"
                  "s.selectedIndex = 1; s.dispatchEvent(new Event('change')); })()")
    while browser.value(ready) != "1":
        pass
    expect(browser.value(WORD), "blue", "the second picture's word")
    expect("row 2, column 1 of 2 × 1: 0.750" in browser.value(
        "document.querySelector('.pictures .summary').textContent"), True, "where it looks most")


def main(check):
    program = pathlib.Path(sys.argv[1]).resolve()
    chromium = (sys.argv[2:3] or [shutil.which("chromium") or shutil.which("chromium-browser")])[0]
    if not chromium:
        print("report_test: skipped, there is no chromium here")
        return 77
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        subprocess.run([program, "[.page]"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        browser = Browser(chromium, folder)
        try:
            browser.open(f"file://{folder}/report/index.html")
            check(browser)
            check_quiet(browser)
        finally:
            browser.close()
    print("report_test: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main(check))
