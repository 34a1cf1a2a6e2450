"""`<otp-verify>` in a real browser, with a real service behind it.

``python -m tests.test_web`` takes the pictures in ``clients/web/screenshots``.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import phonenumbers
import pytest
import uvicorn

from otp_service import dev, provision
from otp_service.app import create_app
from otp_service.messages import LANGUAGES
from otp_service.serve import listen, server_config
from otp_service.service import Seams
from otp_service.settings import SCOPES
from tests import command, servers
from tests.lab import code_in, other_code
from tests.provider_cases import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Request, Route

driver = pytest.importorskip("playwright.sync_api", reason="playwright is missing (the extra ci)")
expect = driver.expect


ROOT = Path(__file__).parent
CHROMIUM = Path("/usr/bin/chromium")
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = ROOT.parent / "clients" / "web" / "screenshots"

TTL = 60
"""Seconds."""

# What a browser with WebOTP has; `receive` is the message that comes in.
WEB_OTP = """
window.OTPCredential = class {};
navigator.credentials.get = ({ otp, signal }) => new Promise((resolve, reject) => {
  window.asked = otp;
  window.receive = (code) => resolve({ code });
  signal.addEventListener("abort", () => { window.aborted = true; reject(signal.reason); });
});
"""


@dataclass
class Site:
    """A running service with the login page, and hands on its clock."""

    url: str
    inbox: Any = ()
    behind: int = 200
    """Seconds; the clock starts late, because a proof from the future is none, and catches up with us."""
    numbers: int = 0

    def pass_time(self, seconds: int) -> None:
        self.behind -= seconds
        assert self.behind >= 0

    def number(self) -> str:
        """One that no test before has used up, nor its neighbours."""
        self.numbers += 1
        return f"+37256{self.numbers:03}045"

    def code(self) -> str:
        return code_in(self.inbox[-1].text)


@contextmanager
def serving(redis_url: str) -> Iterator[Site]:
    """The service of `otp-service dev`, with the usual budgets, on a thread of its own."""
    key = provision.api_key(live=True, scopes=SCOPES)
    site = Site("")
    with listen(dev.HOST, 0) as listener:
        site.url = dev.url_of(listener)
        settings = dev.throwaway([key], {"ttl_seconds": TTL}, redis_url=redis_url, public_url=site.url)
        app = create_app(settings, seams=Seams(skew=lambda: -site.behind * 1000))
        dev.add_pages(app, site.url, key.key)
        site.inbox = app.state.service.providers["console"].inbox
        server = uvicorn.Server(server_config(settings, app, log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield site
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} (apt install chromium)")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(embedded_server: servers.Server) -> Iterator[Site]:
    embedded_server.flush()
    with serving(embedded_server.url) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def options() -> dict[str, Any]:
    """What a test wants its browser to be."""
    return {}


@pytest.fixture
def page(browser: Browser, site: Site, options: dict[str, Any]) -> Iterator[Page]:
    """A page on the login form; whatever its policy refused, or it threw, fails the test."""
    defaults: dict[str, Any] = {
        "base_url": site.url,
        "locale": "en-GB",
        "viewport": {"width": 900, "height": 700},
    }
    with browser.new_context(**defaults | options) as context:
        context.set_default_timeout(5000)
        faults: list[str] = []
        opened = context.new_page()
        opened.on("pageerror", lambda fault: faults.append(str(fault)))
        opened.on("console", lambda said: faults.append(said.text) if "Policy" in said.text else None)
        yield opened
        assert faults == []


def alert(page: Page) -> Locator:
    return page.get_by_role("alert")


def phone_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Phone number")


def code_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Code", exact=True)


def start(page: Page, number: str) -> None:
    """Through the first step, to the field for the code."""
    page.goto("/login")
    phone_field(page).fill(number)
    page.get_by_role("button", name="Send code").click()
    expect(code_field(page)).to_be_focused()


def check(page: Page, code: str) -> None:
    code_field(page).fill(code)
    page.get_by_role("button", name="Verify").click()


def expect_signed_in(page: Page) -> None:
    expect(page.get_by_text("Signed in as")).to_be_visible()


def test_from_phone_number_to_approved_with_otp_service_dev(browser: Browser) -> None:
    with command.started("dev", "--port", "0") as made, browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(made.wait_for(r"Login +(http\S+)\s[\s\S]*Ctrl-C")[1])
        phone_field(page).fill("+37256789045")
        page.get_by_role("button", name="Send code").click()
        expect(page.get_by_role("status")).to_contain_text("+372*****045")
        check(page, code_in(page.get_by_role("listitem").first.inner_text(timeout=5000)))

        expect(page.get_by_text("Signed in as +372*****045")).to_be_visible()
        expect(page.locator("dl")).to_contain_text(re.compile(r"audweb.*sub\+372\*{5}045.*purposelogin"))


@pytest.mark.parametrize("options", [{"java_script_enabled": False}])
def test_it_works_without_javascript(page: Page, site: Site) -> None:
    page.goto("/login")
    phone_field(page).fill("12")
    page.get_by_role("button", name="Send code").click()
    expect(alert(page)).to_contain_text("plus sign")
    phone_field(page).fill(site.number())
    page.get_by_role("button", name="Send code").click()
    check(page, other_code(site.code()))
    expect(alert(page)).to_have_text("Wrong code. Attempts left: 4.")
    check(page, code_in(page.get_by_role("listitem").first.inner_text()))

    expect_signed_in(page)


def test_a_national_number_is_of_the_country_chosen(page: Page, site: Site) -> None:
    number = site.number()
    page.goto("/login")
    page.get_by_label("Country").select_option("EE")
    phone_field(page).fill(number.removeprefix("+372"))
    page.get_by_role("button", name="Send code").click()

    expect(page.get_by_role("status")).to_contain_text(number[-3:])
    assert site.inbox[-1].to == number


def test_the_country_follows_an_international_number(page: Page) -> None:
    page.goto("/login")
    for number, region in (("+372 5", "EE"), ("+1 212", "US"), ("+44 7", "GB")):
        phone_field(page).fill(number)
        expect(page.get_by_label("Country")).to_have_value(region)


def test_a_code_is_pasted_with_its_space(page: Page, site: Site) -> None:
    start(page, site.number())
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = site.code()
    page.evaluate("text => navigator.clipboard.writeText(text)", f"{code[:3]} {code[3:]}")
    page.keyboard.press("Control+V")
    page.keyboard.press("Enter")

    expect_signed_in(page)


def test_digits_of_another_script_are_digits(page: Page, site: Site) -> None:
    start(page, site.number().translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")))
    check(page, site.code().translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")))

    expect_signed_in(page)


def test_the_code_is_one_field_that_phones_fill_in(page: Page, site: Site) -> None:
    start(page, site.number())

    assert page.locator("otp-verify input:visible").count() == 1
    expect(code_field(page)).to_have_attribute("autocomplete", "one-time-code")
    expect(code_field(page)).to_have_attribute("inputmode", "numeric")
    assert code_field(page).get_attribute("maxlength") is None


def test_the_browser_reads_the_message_itself(page: Page, site: Site) -> None:
    page.add_init_script(WEB_OTP)
    start(page, site.number())
    assert page.evaluate("asked") == {"transport": ["sms"]}
    page.evaluate("code => receive(code)", site.code())

    expect_signed_in(page)


def test_another_number_stops_waiting_for_the_message(page: Page, site: Site) -> None:
    page.add_init_script(WEB_OTP)
    start(page, number := site.number())
    page.get_by_role("button", name="Change number").click()

    expect(phone_field(page)).to_be_focused()
    expect(phone_field(page)).to_have_value(number)
    assert page.evaluate("aborted") is True


def test_a_new_code_can_be_asked_for_when_the_service_says(page: Page, site: Site) -> None:
    page.clock.install()
    start(page, site.number())
    resend = page.get_by_role("button", name=re.compile("new code", re.IGNORECASE))
    expect(resend).to_have_text("New code in 30 seconds")
    expect(resend).to_be_disabled()
    page.clock.fast_forward(20_000)
    expect(resend).to_have_text(re.compile("New code in (9|10) seconds"))
    page.clock.fast_forward(10_000)
    expect(resend).to_have_text("Send a new code")
    before = site.code()
    site.pass_time(30)
    resend.click()
    expect(resend).to_have_text("New code in 60 seconds")

    assert site.code() != before
    check(page, site.code())
    expect_signed_in(page)


def test_a_send_refused_too_soon_counts_down_again(page: Page, site: Site) -> None:
    page.clock.install()
    start(page, site.number())
    page.clock.fast_forward(30_000)
    page.get_by_role("button", name="Send a new code").click()

    expect(alert(page)).to_contain_text(re.compile(r"Too many attempts. Try again in (2\d|30) seconds."))
    expect(page.get_by_role("button", name="New code in")).to_be_disabled()


def test_a_reload_keeps_the_step_and_the_countdown(page: Page, site: Site) -> None:
    start(page, site.number())
    page.reload()

    expect(page.get_by_role("status")).to_contain_text("+372")
    expect(page.get_by_role("button", name=re.compile("New code in (2.|30) seconds"))).to_be_disabled()
    check(page, site.code())
    expect_signed_in(page)


def test_a_wrong_code_says_how_many_attempts_are_left(page: Page, site: Site) -> None:
    start(page, site.number())
    check(page, other_code(site.code()))

    expect(alert(page)).to_have_text("Wrong code. Attempts left: 4.")
    expect(code_field(page)).to_have_attribute("aria-invalid", "true")
    expect(code_field(page)).to_have_accessible_description("Wrong code. Attempts left: 4.")
    expect(code_field(page)).to_be_focused()


def test_what_cannot_be_a_code_costs_no_attempt(page: Page, site: Site) -> None:
    start(page, site.number())
    check(page, "12")
    expect(alert(page)).to_have_text("Enter the code from the message.")
    check(page, other_code(site.code()))
    expect(alert(page)).to_have_text("Wrong code. Attempts left: 4.")


def test_too_many_wrong_codes_lead_back_to_the_number(page: Page, site: Site) -> None:
    start(page, number := site.number())
    for left in (4, 3, 2, 1):
        check(page, other_code(site.code(), left))
        expect(alert(page)).to_contain_text(f"left: {left}")
    check(page, other_code(site.code(), 5))

    expect(alert(page)).to_have_text("Too many wrong codes. Ask for a new one.")
    expect(phone_field(page)).to_have_value(number)


def test_an_expired_code_leads_back_to_the_number(page: Page, site: Site) -> None:
    start(page, site.number())
    site.pass_time(TTL + 1)
    check(page, site.code())

    expect(alert(page)).to_have_text("The code has expired. Ask for a new one.")
    expect(phone_field(page)).to_be_focused()


@pytest.fixture
def known(page: Page, site: Site) -> Page:
    """The page of an app that has the number on file; a hidden field stands for the app's memory."""
    memory = f'<input type="hidden" name="to" value="{site.number()}"></otp-verify>'

    def remember(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace("<otp-verify", "<otp-verify number-known")
        route.fulfill(response=answer, body=body.replace("</otp-verify>", memory))

    page.route("**/login", remember)
    page.goto("/login")
    return page


def test_a_known_number_is_never_asked_for(known: Page, site: Site) -> None:
    send = known.get_by_role("button", name="Send code")
    expect(send).to_be_visible()
    expect(phone_field(known)).to_have_count(0)
    with known.expect_request("**/login/start") as sent:
        send.click()
    expect(code_field(known)).to_be_focused()
    expect(known.get_by_role("button", name="Change number")).to_have_count(0)

    assert "region" not in (sent.value.post_data or "")
    check(known, site.code())
    expect_signed_in(known)


def test_an_expired_code_for_a_known_number_leads_to_a_button_for_another(known: Page, site: Site) -> None:
    send = known.get_by_role("button", name="Send code")
    send.click()
    expect(code_field(known)).to_be_focused()
    site.pass_time(TTL + 1)
    check(known, site.code())
    expect(alert(known)).to_have_text("The code has expired. Ask for a new one.")
    expect(phone_field(known)).to_have_count(0)
    expect(send).to_be_focused()
    expect(send).to_have_accessible_description("The code has expired. Ask for a new one.")
    known.keyboard.press("Enter")
    expect(code_field(known)).to_be_focused()
    expect(alert(known)).to_be_empty()

    check(known, site.code())
    expect_signed_in(known)


def test_a_known_number_that_cannot_be_reached_is_told(known: Page) -> None:
    refusal = {"code": "undeliverable", "detail": "No."}
    known.route("**/login/start", lambda route: route.fulfill(status=422, json=refusal))
    known.get_by_role("button", name="Send code").click()

    expect(alert(known)).to_have_text("A code cannot be sent to this number.")
    expect(known.get_by_role("button", name="Send code")).to_be_focused()


def test_a_throttled_number_is_told_when_to_come_back(page: Page, site: Site) -> None:
    number = site.number()
    for _ in range(3):
        start(page, number)
        page.context.clear_cookies()
    page.goto("/login")
    phone_field(page).fill(number)
    page.get_by_role("button", name="Send code").click()

    expect(alert(page)).to_have_text(re.compile(r"Too many attempts. Try again in (5\d|60) seconds."))


@pytest.mark.parametrize("number", ["", "+372 1"])
def test_what_is_no_number_is_said_to_be_none(page: Page, number: str) -> None:
    page.goto("/login")
    phone_field(page).fill(number)
    page.get_by_role("button", name="Send code").click()

    expect(alert(page)).to_have_text("Enter a valid phone number.")
    expect(phone_field(page)).to_be_focused()


def test_a_page_that_is_offline_says_so_and_goes_on_later(page: Page, site: Site) -> None:
    start(page, site.number())
    page.context.set_offline(True)
    check(page, site.code())
    expect(alert(page)).to_have_text("No internet connection.")
    page.context.set_offline(False)
    page.get_by_role("button", name="Verify").click()

    expect_signed_in(page)


def test_the_keyboard_is_enough(page: Page, site: Site) -> None:
    page.goto("/login")
    expect(page.get_by_label("Country")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Country")).to_be_focused()
    page.keyboard.type("Estonia")
    page.keyboard.press("Tab")
    page.keyboard.type(site.number().removeprefix("+372"))
    page.keyboard.press("Enter")
    expect(code_field(page)).to_be_focused()
    page.keyboard.type(site.code())
    page.keyboard.press("Enter")

    expect_signed_in(page)


def test_steps_are_announced(page: Page, site: Site) -> None:
    page.route("**/login/check", lambda route: route.fulfill(json={"status": "approved"}))
    start(page, site.number())
    page.locator("otp-verify").evaluate("it => it.addEventListener('otp-verified', e => e.preventDefault())")
    check(page, site.code())

    expect(page.get_by_role("status")).to_have_text("Number verified.")
    expect(page.get_by_role("status")).to_be_focused()


@pytest.mark.parametrize("lang", ["en", "ar"])
def test_axe_finds_nothing(page: Page, site: Site, lang: str) -> None:
    if not AXE.exists():
        missing("tests/node_modules (npm ci --prefix tests)")
    page.goto(f"/login?lang={lang}")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    phone = page.locator("[part~=phone]")
    expect(phone).to_be_visible()
    found = violations(page)
    phone.fill("12")
    phone.press("Enter")
    expect(alert(page)).not_to_be_empty()
    found += violations(page)
    phone.fill(site.number())
    phone.press("Enter")
    expect(page.locator("[part~=code]")).to_be_focused()

    assert found + violations(page) == []


def violations(page: Page) -> list[str]:
    """In light and in dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for each in page.evaluate("axe.run()")["violations"]:
            found += [f"{scheme}: {each['id']}: {node['html']}" for node in each["nodes"]]
    return found


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}])
def test_a_dark_page_has_a_dark_form(page: Page) -> None:
    page.goto("/login")
    colour = phone_field(page).evaluate("it => getComputedStyle(it).color")

    assert all(int(part) > 200 for part in re.findall(r"\d+", colour)[:3])


def test_arabic_runs_from_right_to_left(page: Page, site: Site) -> None:
    page.goto("/login?lang=ar")
    phone = page.get_by_role("textbox", name="رقم الهاتف")
    form = page.locator("otp-verify form[part]")
    expect(form).to_have_attribute("dir", "rtl")
    expect(form).to_have_attribute("lang", "ar")
    expect(page.get_by_label("البلد")).to_contain_text("إستونيا (\u2066+372\u2069)")
    phone.fill(site.number())
    page.get_by_role("button", name="إرسال الرمز").click()

    expect(page.get_by_role("status")).to_contain_text("تم إرسال الرمز")
    expect(page.locator("[part~=code]")).to_have_css("direction", "ltr")
    assert "رمز" in site.inbox[-1].text


@pytest.mark.parametrize("lang", ["el", "ar"])
@pytest.mark.parametrize("options", [{"viewport": {"width": 320, "height": 640}}])
def test_320_pixels_are_wide_enough(page: Page, site: Site, lang: str) -> None:
    page.goto(f"/login?lang={lang}")
    phone = page.locator("[part~=phone]")
    phone.fill("12")
    phone.press("Enter")
    expect(alert(page)).not_to_be_empty()
    widths = [width(page)]
    phone.fill(site.number())
    phone.press("Enter")
    expect(page.locator("[part~=code]")).to_be_focused()

    assert [*widths, width(page)] == [320, 320]


def width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize(
    "given",
    ["it.setAttribute('strings', '{\"send\": \"Go\"}')", "it.strings = { send: 'Go' }"],
    ids=["attribute", "property"],
)
def test_every_text_can_be_replaced(page: Page, given: str) -> None:
    page.goto("/login")
    page.locator("otp-verify").evaluate(f"it => {{ {given} }}")

    expect(page.get_by_role("button", name="Go", exact=True)).to_be_visible()
    expect(phone_field(page)).to_be_visible()


def test_strings_set_before_the_element_is_defined_count(page: Page) -> None:
    page.add_init_script("""new MutationObserver(() => {
        const it = document.querySelector("otp-verify:not(:defined)");
        if (it) it.strings = { send: "Go" };
    }).observe(document, { childList: true, subtree: true })""")
    page.goto("/login")

    expect(page.get_by_role("button", name="Go", exact=True)).to_be_visible()


def test_parts_and_variables_dress_it(page: Page) -> None:
    page.goto("/login")
    page.evaluate("""() => {
        const sheet = new CSSStyleSheet();
        sheet.insertRule("otp-verify { --otp-radius: 7px }");
        sheet.insertRule("otp-verify::part(primary) { border-top-width: 9px }");
        document.adoptedStyleSheets = [sheet];
    }""")
    send = page.get_by_role("button", name="Send code")

    expect(send).to_have_css("border-top-width", "9px")
    expect(send).to_have_css("border-radius", "7px")


def test_hidden_fields_of_the_form_are_sent_along(page: Page, site: Site) -> None:
    page.goto("/login")
    page.locator("otp-verify").evaluate("""it => {
        const csrf = document.createElement("input");
        it.querySelector("form").append(Object.assign(csrf, { type: "hidden", name: "csrf", value: "a+b" }));
    }""")
    phone_field(page).fill(number := site.number())
    with page.expect_request("**/login/start") as sent:
        page.get_by_role("button", name="Send code").click()

    assert sent.value.post_data_json == {"to": number, "locale": "en", "csrf": "a+b"}


def test_a_page_hears_what_happens(page: Page, site: Site) -> None:
    start(page, site.number())
    page.evaluate("""() => {
        window.heard = [];
        for (const type of ["otp-error", "otp-verified"])
            document.addEventListener(type, (event) => {
                event.preventDefault();
                heard.push([type, event.detail.code ?? event.detail.status]);
            });
    }""")
    check(page, other_code(site.code()))
    expect(alert(page)).not_to_be_empty()
    check(page, site.code())
    expect(page.get_by_role("status")).to_have_text("Number verified.")

    assert page.evaluate("heard") == [["otp-error", "wrong_code"], ["otp-verified", "approved"]]
    expect(page).to_have_url(f"{site.url}/login")


def test_a_form_around_it_waits_for_the_number(page: Page, site: Site) -> None:
    start(page, site.number())
    valid = page.locator("otp-verify").evaluate_handle("""it => {
        it.addEventListener("otp-verified", (event) => event.preventDefault());
        it.setAttribute("name", "number");
        const form = document.createElement("form");
        it.parentNode.append(form);
        form.append(it);
        return () => [form.checkValidity(), new FormData(form).get("number")];
    }""")
    assert valid.evaluate("it => it()") == [False, None]
    check(page, site.code())
    expect(page.get_by_role("status")).to_have_text("Number verified.")

    assert valid.evaluate("it => it()") == [True, "verified"]


def test_neither_key_nor_id_reaches_the_browser(page: Page, site: Site) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - the driver marks it
    start(page, site.number())
    page.locator("otp-verify").evaluate("it => it.removeAttribute('verified-url')")
    check(page, site.code())
    expect(page.get_by_role("status")).to_have_text("Number verified.")
    calls = [each for each in asked if each.method == "POST"]
    answers = [answer.text() for each in calls if (answer := each.response())]

    assert {each.url.removeprefix(site.url) for each in calls} == {"/login/start", "/login/check"}
    assert re.findall("vrf_|otp_live|eyJ", "".join(answers)) == []
    assert all("authorization" not in each.all_headers() for each in asked)


def test_the_languages_are_those_of_the_service(page: Page) -> None:
    page.goto("/login")
    found = page.evaluate("""async () => {
        const { ENGLISH, LANGUAGES } = await import("/login/otp-verify.js");
        const read = (tag) => import(`/login/languages/${tag}.js`).then((module) => [tag, module.default]);
        return { en: ENGLISH, ...Object.fromEntries(await Promise.all(LANGUAGES.map(read))) };
    }""")
    assert set(found) == set(LANGUAGES)
    shapes = {tag: {name: placeholders(text) for name, text in texts.items()} for tag, texts in found.items()}
    assert {tag for tag, shape in shapes.items() if shape != shapes["en"]} == set()


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def test_the_calling_codes_are_those_of_libphonenumber(page: Page) -> None:
    page.goto("/login")
    found = page.evaluate("""async () => {
        const { CALLING_CODES } = await import("/login/otp-verify.js");
        return Object.fromEntries([...CALLING_CODES].map(([region, code]) => [region, Number(code)]));
    }""")
    assert found == {
        region: phonenumbers.country_code_for_region(region) for region in phonenumbers.SUPPORTED_REGIONS
    }


def test_a_language_tag_finds_its_texts(page: Page) -> None:
    page.goto("/login")
    shown = {
        "et-EE": "et",
        "no": "nb",
        "zh-TW": "zh-hant",
        "zh": "zh-hans",
        "pt-BR": "pt-br",
        "constructor": "en",
    }
    for asked, language in shown.items():
        page.locator("otp-verify").evaluate("(it, tag) => { it.lang = tag }", asked)
        expect(page.locator("otp-verify form[part]")).to_have_attribute("lang", language)


def take_screenshots() -> None:
    """Both steps, light and dark, for the README."""
    with servers.embedded() as redis, serving(redis.url) as site, chromium() as browser:
        for scheme in ("light", "dark"):
            look: dict[str, Any] = {
                "base_url": site.url,
                "locale": "en-GB",
                "viewport": {"width": 900, "height": 460},
            }
            with browser.new_context(**look, color_scheme=scheme) as context:
                page = context.new_page()
                page.clock.set_fixed_time("2026-11-20T10:00:00Z")
                start(page, "+37256789045")
                expect(page.get_by_role("listitem").first).to_be_visible()
                page.screenshot(path=SCREENSHOTS / f"login-{scheme}.png")


if __name__ == "__main__":
    take_screenshots()
