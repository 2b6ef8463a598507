"""The pages as people use them, in Chromium."""

import re
import shutil
import socket
import threading
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait
from uvicorn import Config, Server

from reseen.gallery.identities import Identities
from reseen.service.state import CameraState, write_state
from reseen.tracking.detections import Detections
from reseen.web.app import create_app

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGES = (
    "/tracklets",
    "/tracklet?id=north/ada",
    "/compare?id=north/ada&match=south/ada",
    "/forget?id=north/ada",
    "/labels",
    "/pictures",
    "/about",
    "/people",
    "/person?identity=Ada",
    "/person/merge?identity=Ada",
    "/tracklet?id=south/ben",
    "/review",
    "/cameras",
    "/settings",
    "/nowhere",
)
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture
def gallery(gallery, make_calibration):
    """Everybody is alone: every pair is rather two people than one."""
    gallery.settings.keep_calibration(make_calibration("stripes", intercept=-0.5, slope=1.0))
    identities = Identities(gallery)
    identities.identify()
    (ada,) = gallery.members.of(["north/ada"])
    identities.name(ada.identity, "Ada")
    told = {"source": "rtsp://10.0.0.7/stream", "since": 1_718_006_400.0}
    write_state(gallery.notes, CameraState(name="north", state="running", **told))
    write_state(gallery.notes, CameraState(name="gate", state="failed", error="no answer", **told))
    return gallery


@pytest.fixture
def user(chromium, gallery):
    """Somebody at a desktop's browser with the list of tracklets before them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(gallery, detector=lambda _: Detections.of([[60, 40, 108, 136]], [0.9]))
        server = Server(Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield User(chromium, f"http://127.0.0.1:{listener.getsockname()[1]}")
        server.should_exit = True
        thread.join()


class User:
    """What somebody does in a browser."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address
        self.look_through(DESKTOP)
        self.open("/tracklets")

    def look_through(self, screen, **media):
        features = [
            {"name": name.replace("_", "-"), "value": value} for name, value in media.items()
        ]
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, path):
        self.browser.get(self.address + path)

    def find(self, css):
        return WebDriverWait(self.browser, 20).until(
            lambda browser: browser.find_element(By.CSS_SELECTOR, css)
        )

    def click(self, css):
        """Click where this is on the screen: selenium itself thinks it hidden in closed details."""
        ActionChains(self.browser).click(self.find(css)).perform()

    def follow(self, text):
        """Click what is called so, and wait for the page that it leads to."""
        here = self.find("html")
        called = f"[normalize-space(.)='{text}']"
        target = self.browser.find_element(By.XPATH, f"//a{called} | //button{called}")
        ActionChains(self.browser).scroll_to_element(target).click(target).perform()
        self.wait_for_another_page(here)

    def press_and_wait(self, key):
        here = self.find("html")
        self.press(key)
        self.wait_for_another_page(here)

    def wait_for_another_page(self, here):
        # A page that is just being replaced answers with all kinds of errors.
        wait = WebDriverWait(self.browser, 20, ignored_exceptions=[WebDriverException])
        wait.until(staleness_of(here))
        wait.until(lambda browser: self.run("return document.readyState") == "complete")

    def sees(self, css):
        return self.run(f"return document.querySelector('{css}').checkVisibility()")

    def findings(self):
        """What axe-core holds to be serious or critical: its rules, each with the elements."""
        found = Axe().run(self.browser, options={"resultTypes": ["violations"]})["violations"]
        return [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    def run(self, script):
        return self.browser.execute_script(script)

    @property
    def focused(self):
        return self.browser.switch_to.active_element

    @property
    def path(self):
        return urlsplit(self.browser.current_url).path

    @property
    def asked(self):
        query = parse_qs(urlsplit(self.browser.current_url).query)
        return {name: values[0] for name, values in query.items()}

    @property
    def text(self):
        return self.find("main").text


def test_from_a_list_to_a_verdict_and_to_forgetting(user, gallery):
    assert len(user.browser.find_elements(By.CSS_SELECTOR, ".card")) == 6
    user.find("a.card[title='north/ada']").click()
    user.find(".matches")
    assert user.path == "/tracklet"

    user.run("document.querySelector('select[name=camera]').focus()")
    user.press("south")
    user.click("input[name=own_camera]")
    user.follow("Show")
    state = {"id": "north/ada", "camera": "south", "own_camera": "1"}
    assert state.items() <= user.asked.items()
    assert len(user.browser.find_elements(By.CSS_SELECTOR, ".match")) == 3

    user.find(".match .label .right").click()
    user.find(".match.right")
    assert state.items() <= user.asked.items()
    user.find(".match .still").click()
    user.find(".compare .right")
    assert state.items() <= user.asked.items()
    user.follow("Someone else")
    assert "Labelled as someone else." in user.text
    assert [(mark.match, mark.same) for mark in gallery.labels.all()] == [("south/ada", False)]

    user.follow("All matches")
    assert state.items() <= user.asked.items()
    user.follow("Forget this appearance…")
    user.follow("Keep it")
    assert gallery.count() == 6
    user.follow("Forget this appearance…")
    user.follow("Forget for good")
    assert "1 appearance forgotten." in user.text
    assert len(user.browser.find_elements(By.CSS_SELECTOR, ".card")) == 5


def test_with_the_keyboard_alone(user, gallery):
    user.press(Keys.TAB)
    assert user.focused.text == "Skip to the content"
    user.press(Keys.ENTER)
    while user.focused.get_attribute("class") != "card":
        user.press(Keys.TAB)
        outline = user.focused.value_of_css_property("outline-style")
        assert outline == "solid", user.focused.get_attribute("outerHTML")
    assert user.focused.get_attribute("title") == "north/ada"
    user.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert user.focused.get_attribute("title") == "north/ben"
    user.press(Keys.ENTER)
    user.find(".matches")
    while user.focused.text != "Same person":
        user.press(Keys.TAB)
    user.press(Keys.ENTER)
    user.find(".match.right")
    assert [mark.query for mark in gallery.labels.all()] == ["north/ben"]


def test_ten_decisions_take_ten_keystrokes(user, gallery):
    user.open("/review")
    for key in "ynnnnnnnnn":
        user.press_and_wait(key)
    assert "10 answers given. 6 people before the last 10, 5 people now." in user.text
    assert [label.same for label in gallery.labels.all()] == [True] + 9 * [False]
    user.press_and_wait("u")
    user.press_and_wait("S")
    assert user.asked == {"skipped": "1"}
    assert "9 answers given, 1 skipped" in user.text
    assert len(gallery.labels.all()) == 9


def test_people_are_merged_named_split_and_exported(user, gallery):
    user.open("/people")
    assert len(user.browser.find_elements(By.CSS_SELECTOR, ".card")) == 6
    user.find(".card").click()
    user.find(".rename")
    user.follow("Merge")
    assert len(user.browser.find_elements(By.CSS_SELECTOR, ".timeline rect")) == 2
    user.find("#name").send_keys("Ada <L.>")
    user.follow("Name")
    assert user.asked == {"identity": "Ada <L.>"}
    user.follow("All are the same person")
    assert len(user.browser.find_elements(By.CSS_SELECTOR, ".match.right")) == 2
    sheet = user.find("a[download]").get_attribute("href")
    assert "identity=Ada" in sheet
    user.follow("Someone else")
    assert len(gallery.members.belonging_to(["Ada <L.>"])) == 1
    assert len({member.identity for member in gallery.members.all()}) == 6
    user.follow("Undo")
    assert len(gallery.members.belonging_to(["Ada <L.>"])) == 2


def test_somebody_is_found_by_name_to_be_merged_with_and_rejected_by_mistake(user, gallery):
    user.open("/people")
    user.find("[name=name]").send_keys("ADA", Keys.ENTER)
    WebDriverWait(user.browser, 20).until(lambda _: user.asked == {"name": "ADA"})
    user.find(".card").click()
    user.find(".rename")
    user.follow("Merge with somebody…")
    (ben,) = gallery.members.of(["south/ben"])
    user.find("[name=name]").send_keys(ben.identity)
    user.press_and_wait(Keys.ENTER)
    user.follow("Merge")
    assert user.asked["identity"] == "Ada"
    assert len(gallery.members.belonging_to(["Ada"])) == 2
    assert f"Ada and {ben.identity} are one person now." in user.text
    user.follow("Not a person")
    assert "2 appearances labelled as not a person" in user.text
    assert gallery.members.belonging_to(["Ada"]) == []
    user.follow("Undo")
    assert len(gallery.members.belonging_to(["Ada"])) == 2


def test_a_person_in_a_photo_is_picked_by_key_and_click_or_drawn(user, tmp_path, draw_pictures):
    street = np.full((180, 320, 3), 120, np.uint8)
    for person, left in (("ben", 60), ("eve", 200)):
        street[40:136, left : left + 48] = draw_pictures(person, seed=9)[0]
    cv2.imwrite(str(tmp_path / "street.png"), street[:, :, ::-1])
    user.open("/pictures")
    user.find("input[name=photo]").send_keys(str(tmp_path / "street.png"))
    user.follow("Find the people in it")
    user.press_and_wait("1")
    assert user.find(".match a").get_attribute("href").split("%2F")[1].startswith("ben")
    assert user.findings() == []
    user.find("a[href='#who']").click()
    here, scene = user.find("html"), user.find(".scene svg")
    ActionChains(user.browser).move_to_element_with_offset(scene, -80, 0).click().perform()
    user.wait_for_another_page(here)
    user.find("a[href='#who']").click()
    scene = user.find(".scene svg")
    drag = ActionChains(user.browser).move_to_element_with_offset(scene, 38, -52).click_and_hold()
    drag.move_by_offset(52, 100).release().perform()
    drawn = user.find("[name=drawn]").get_attribute("value").split(",")
    assert list(map(int, drawn)) == pytest.approx([198, 38, 52, 100], abs=1)
    assert user.focused.text == "Search in this box"
    user.press_and_wait(Keys.ENTER)
    assert user.find(".match a").get_attribute("href").split("%2F")[1].startswith("eve")


def test_keys_are_letters_where_somebody_types(user, gallery):
    user.open("/review")
    user.run("document.querySelector('main').append(document.createElement('textarea'))")
    user.find("textarea").send_keys("yes, u n")
    assert user.find("textarea").get_attribute("value") == "yes, u n"
    ActionChains(user.browser).key_down(Keys.CONTROL).send_keys("y").key_up(Keys.CONTROL).perform()
    assert gallery.labels.all() == []


def test_a_phone_needs_no_sideways_scrolling_and_no_needle(user):
    user.look_through(PHONE)
    for path in PAGES:
        user.open(path)
        assert user.run("return document.documentElement.scrollWidth <= innerWidth"), path
        assert user.run(TOO_WIDE) == [], path
        assert user.run(TOO_SMALL) == [], path
        assert user.run(ROWS_OF_THE_MENU) == 1, path


TOO_WIDE = """
return [...document.querySelectorAll("body *")]
  .filter((element) => !element.closest(".film, .skip"))
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.outerHTML);
"""
ROWS_OF_THE_MENU = """
const links = [...document.querySelectorAll(".top nav a")].filter((link) => link.checkVisibility());
return new Set(links.map((link) => link.offsetTop)).size;
"""
TOO_SMALL = """
return [...document.querySelectorAll("button, .button, select, nav a")]
  .filter((element) => element.checkVisibility() && element.offsetHeight < 40)
  .map((element) => element.outerHTML);
"""


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_long_words_stay_in_their_place(user, gallery, embed_people, put, screen):
    word = 100 * "W"
    put(gallery, embed_people([(word, "ada")]), "stripes")
    Identities(gallery).catch_up()
    (ada,) = gallery.members.of([f"{word}/ada"])
    Identities(gallery).name(ada.identity, word)
    user.look_through(screen)
    for path in ("/people", f"/person?identity={word}", "/review", f"/tracklet?id={word}/ada"):
        user.open(path)
        assert user.run(TOO_WIDE) == [], path
        assert user.run(SPILLED) == [], path


SPILLED = """
return [...document.querySelectorAll("main *")]
  .filter((element) => !element.closest(".film, .top, input, .wide"))
  .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth)
  .map((element) => element.outerHTML);
"""


def test_filters_fold_away_on_a_phone_only(user):
    assert user.sees("select[name=camera]")
    assert not user.sees("summary")
    user.look_through(PHONE)
    assert not user.sees("select[name=camera]")
    user.click("summary")
    assert user.sees("select[name=camera]")
    user.open("/tracklets?camera=south")
    assert user.sees("select[name=camera]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_shut_nobody_out(user, gallery, scheme):
    """By axe-core, and by the contrast of every text with what is behind it."""
    gallery.labels.add("north/ada", "south/ada", same=True)
    gallery.labels.add("north/ada", "south/eve", same=False)
    gallery.rejected.add(["south/ben"], {})
    user.look_through(DESKTOP, prefers_color_scheme=scheme)
    for path in PAGES:
        user.open(path)
        assert user.findings() == [], path
        for text, ink, paper in user.run(COLOURS):
            assert contrast(ink, paper) >= 4.5, (path, text, ink, paper)


COLOURS = """
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (texts.currentNode.data.trim() && element.checkVisibility()) {
    found.push([texts.currentNode.data, getComputedStyle(element).color, behind(element)]);
  }
}
return found;
"""


def contrast(ink, paper):
    """WCAG's contrast of two colours, 1 to 21."""
    lights = sorted(luminance(colour) for colour in (ink, paper))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour):
    shares = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_axe_finds_what_shuts_people_out(user):
    user.run("document.querySelector('main').innerHTML = '<input><img src=/api/thumbnail>'")
    assert [rule for rule, _ in user.findings()] == ["image-alt", "label"]


def test_large_pictures_move_unless_held_still(user):
    user.open("/tracklet?id=north/ada")
    assert user.find(".moving img").value_of_css_property("animation-name") == "walk"
    user.click("#still")
    assert user.find(".moving img").value_of_css_property("animation-name") == "none"
    user.open("/compare?id=north/ada&match=south/ada")
    assert user.find("#still").is_selected()
    user.click("#still")
    user.look_through(DESKTOP, prefers_reduced_motion="reduce")
    assert user.find(".moving img").value_of_css_property("animation-name") == "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_recording_plays_when_that_is_asked_for(user, recorded, scheme):
    user.look_through(DESKTOP, prefers_color_scheme=scheme)
    user.open("/scene?id=yard/eve")
    played = "document.querySelector('details img').naturalWidth"
    assert user.run(f"return {played}") == 0
    user.click("summary")
    WebDriverWait(user.browser, 20).until(lambda _: user.run(f"return {played}") == 320)
    assert user.findings() == []
    user.look_through(PHONE)
    assert user.run("return document.documentElement.scrollWidth") <= PHONE["width"]


def test_cards_are_still_until_pointed_at_and_load_no_more_than_is_seen(user):
    fetched = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    WebDriverWait(user.browser, 20).until(lambda _: len(user.run(fetched)) == 6)
    assert all("still=1" in name for name in user.run(fetched))
    assert not user.sees(".strip")
    ActionChains(user.browser).move_to_element(user.find(".card")).perform()
    assert user.sees(".strip")
    assert not user.sees(".first")
    WebDriverWait(user.browser, 20).until(lambda _: len(user.run(fetched)) == 7)


def test_something_moves_while_the_next_page_is_awaited(user):
    user.run("addEventListener('click', (event) => event.preventDefault())")
    assert "loading" not in user.find("html").get_attribute("class")
    user.click("a.card")
    assert "loading" in user.find("html").get_attribute("class")
    bar = "return getComputedStyle(document.body, '::before')"
    assert user.run(f"{bar}.animationName") == "pass"
    assert user.run(f"{bar}.backgroundColor") == "rgb(0, 98, 168)"


def test_each_of_the_eight_pictures_fills_its_place(user):
    user.open("/compare?id=north/ada&match=south/ada")
    film, image = user.find(".moving"), user.find(".moving img")
    user.click("#still")
    assert image.size["width"] == pytest.approx(8 * film.size["width"], abs=1)
    assert image.size["height"] == pytest.approx(film.size["height"], abs=1)
    assert user.run("return document.querySelector('.moving img').naturalWidth") == 8 * 48
    user.click("#still")


def test_browsers_find_nothing_to_complain_about(user):
    user.browser.get_log("browser")
    for path in PAGES[:-1]:
        user.open(path)
    assert user.browser.get_log("browser") == []


def test_another_sites_form_marks_nothing(user, gallery):
    """The same machine's other ports are other sites, too."""
    form = (
        f"<form method=post action='{user.address}/compare?id=north/ada&match=south/ada'>"
        "<button name=same value=yes>Win</button></form>"
    )
    user.browser.get(f"data:text/html,{form}")
    user.find("button").click()
    assert "Another site may not do this." in user.text
    assert gallery.labels.all() == []
