#!/usr/bin/env python3
"""Looks at the report's spectrograms in headless Chromium, as report_test.py does.

Usage: spectrogram_test.py PROGRAM [CHROMIUM]: spectrogram_test, which makes the page.
"""
import sys

from report_test import expect, main

# What a canvas shows at a place: how opaque it is, 0 .. 255.
PAINTED = ("((selector, x, y) => document.querySelector(selector).getContext('2d')"
           ".getImageData(x, y, 1, 1).data[3])")
LIT = "[...document.querySelectorAll('.spectrogram button.lit')].map((b) => b.textContent).join()"


def check(browser):
    expect(browser.value("document.querySelectorAll('.spectrogram select option').length"), 2, "utterances")
    expect(browser.value("[...document.querySelectorAll('.spectrogram dd')].map((d) => d.textContent).join('|')"),
           "one <two>|one", "what was said and recognised")
    # Frame 2 is loud in band 0, which is at the bottom; all else is silent.
    expect(browser.value(PAINTED + "('.sound', 2, 2)"), 255, "the loudest place")
    expect(browser.value(PAINTED + "('.sound', 2, 0)"), 0, "the band at the top")
    expect(browser.value(PAINTED + "('.sound', 0, 2)"), 0, "the first frame")
    size = "(({width, height}) => `${width}x${height}`)(document.querySelector('.sound'))"
    expect(browser.value(size), "8x3", "frames and bands")
    marks = ("[...document.querySelectorAll('.mark')].map((m) => { const p = m.parentNode.getBoundingClientRect();"
             "return m.textContent + Math.round(100 * (m.getBoundingClientRect().x - p.x) / p.width); }).join()")
    expect(browser.value(marks), "one25", "CTC's mark, a quarter from the left")

    # The second of four columns is where "one" was heard: 0.075 of 0.2 seconds.
    expect(browser.value("document.querySelector('[data-row=\"0\"]').dataset.seconds"), "0.075", "where")
    expect(browser.value(PAINTED + "('.strip canvas', 1, 0)") > 200, True, "the strip where it was heard")
    expect(browser.value(PAINTED + "('.strip canvas', 3, 0)"), 0, "the strip elsewhere")
    expect(browser.value(PAINTED + "('.light', 1, 0)"), 0, "no light at the start")
    browser.hover(".spectrogram [data-row='0']")
    expect(browser.value(LIT), "one", "the token that is pointed at")
    expect(browser.value(PAINTED + "('.light', 1, 0)") > 150, True, "its light")
    expect(browser.value(PAINTED + "('.light', 3, 0)"), 0, "and none elsewhere")
    browser.hover("h1")
    expect(browser.value(LIT), "", "no token")
    browser.value("document.querySelector('.spectrogram [data-row=\"1\"]').focus()")
    expect(browser.value(LIT), "</s>", "the token with the focus")

    browser.hover(".spectrogram .picture")
    expect(browser.value("document.getElementById('tooltip').textContent"), "0.10 s", "the time in the middle")
    browser.hover("h1")
    expect(browser.value("document.getElementById('tooltip').hidden"), True, "the tooltip, gone")

    browser.value("(() => { const s = document.querySelector('.spectrogram select');"
                  "s.selectedIndex = 1; s.dispatchEvent(new Event('change')); })()")
    expect(browser.value("document.querySelectorAll('.strip').length"), 1, "rows of the second")
    expect(browser.value("document.querySelectorAll('.mark').length"), 0, "marks of the second")
    ticks = "[...document.querySelectorAll('.ticks span')].map((t) => t.textContent).join()"
    expect(browser.value(ticks), "0,1,2,3,4,5,6,7,8", "its seconds")
    browser.click("#theme")
    expect(browser.value(PAINTED + "('.sound', 0, 0)"), 255, "drawn again in the other colours")


if __name__ == "__main__":
    sys.exit(main(check))
