"""How soon Chromium paints the gallery's first page with 50 tracklets, served on this machine.

Run as `python benchmarks/bench_web.py`; needs chromium and chromedriver. Each load is a new one:
the pages forbid caching. The server runs in a process of its own.
"""

import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from selenium import webdriver

from reseen.data.colour_histogram import ColourHistogram
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import NewTracklets
from reseen.gallery.thumbnail import make_thumbnail
from reseen.web.app import serve

TRACKLETS, LOADS = 50, 15
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
TIMES = """
const painted = performance.getEntriesByName("first-contentful-paint")[0];
const [page] = performance.getEntriesByType("navigation");
const bytes = [page, ...performance.getEntriesByType("resource")]
  .reduce((sum, each) => sum + each.transferSize, 0);
const there = (image) => image.complete && image.naturalWidth;
const inView = [...document.images]
  .filter((image) => image.checkVisibility() && image.getBoundingClientRect().top < innerHeight);
const images = inView.filter(there).length;
return painted && page.loadEventEnd && images === inView.length
  ? [page.responseStart, painted.startTime, page.loadEventEnd, bytes / 1000, images] : null;
"""
ROW = "{:56} {:>9} {:>7}  {}"


def main() -> None:
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        sys.exit("chromium and chromedriver are not installed")
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "gallery")
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        server = context.Process(target=run_server, args=(Path(folder) / "gallery", there))
        server.start()
        try:
            report(loads(here.recv(), Path(folder) / "profile"))
        finally:
            server.terminate()
            server.join()


def fill(folder: Path) -> None:
    """People in random clothes, one every ten seconds, in thumbnails with noise to pack."""
    random = np.random.default_rng(0)
    people = [drawn(random) for _ in range(TRACKLETS)]
    stripes = ColourHistogram().embed(people)
    starts = [1.7e9 + 10.0 * number for number in range(TRACKLETS)]
    tracklets = NewTracklets(
        ids=[f"tracklet {number}" for number in range(TRACKLETS)],
        cameras=[("entrance", "car park")[number % 2] for number in range(TRACKLETS)],
        sources=["drawn"] * TRACKLETS,
        starts=starts,
        ends=[start + 4 for start in starts],
        frames=[8] * TRACKLETS,
        thumbnails=[make_thumbnail(pictures, pixelate_heads=True) for pictures in people],
    )
    Gallery.open(folder, create=True).add_embedded(tracklets, {"stripes": stripes})


def drawn(random: np.random.Generator) -> list[np.ndarray]:
    pictures = random.normal(120, 12, (8, 128, 64, 3))
    for step, picture in enumerate(pictures):
        picture[10:30, 20 + step : 36 + step] = (200, 160, 140)
        picture[30:75, 14 + step : 42 + step] += random.integers(-90, 90, 3)
        picture[75:124, 18 + step : 40 + step] += random.integers(-90, 90, 3)
    return list(np.clip(pictures, 0, 255).astype(np.uint8))


def run_server(folder: Path, told: Connection) -> None:
    serve(Gallery.open(folder), port=0, ready=told.send)


def loads(address: str, profile: Path) -> np.ndarray:
    """Milliseconds until the first byte, the first paint and the end, kB, and pictures shown."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        return np.array([load(browser, f"{address}tracklets") for _ in range(LOADS + 1)][1:])
    finally:
        browser.quit()


def load(browser: webdriver.Chrome, address: str) -> list[float]:
    browser.get("about:blank")
    browser.get(address)
    while (times := browser.execute_script(TIMES)) is None:
        time.sleep(0.05)
    return list(times)


def report(measured: np.ndarray) -> None:
    first_byte, painted, loaded, kilobytes, images = (list(column) for column in measured.T)
    print(ROW.format("what", "measured", "bound", ""))
    row("first contentful paint, median of 15 loads, ms", statistics.median(painted), 300)
    row("first contentful paint, slowest of 15 loads, ms", max(painted))
    row("until the first byte, median, ms", statistics.median(first_byte))
    row("until everything is there, median, ms", statistics.median(loaded))
    row("loaded until all pictures in view are there, most, kB", max(kilobytes), 200)
    row("pictures shown, fewest", min(images))


def row(what: str, measured: float, bound: float | None = None) -> None:
    verdict = "" if bound is None else ("ok" if measured <= bound else "not ok")
    print(ROW.format(what, f"{measured:.0f}", "" if bound is None else f"{bound:.0f}", verdict))


if __name__ == "__main__":
    main()
