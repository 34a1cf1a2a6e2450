/**
 * `<otp-verify>`: asks for a phone number, then for the code that was sent to it. See README.md.
 *
 * It speaks to the app's own back end alone, in the words of the form that works there without JavaScript.
 */

/** Calling codes by ISO 3166 alpha-2: the regions of libphonenumber. */
export const CALLING_CODES = new Map(
  `AC247 AD376 AE971 AF93 AG1 AI1 AL355 AM374 AO244 AR54 AS1 AT43 AU61 AW297 AX358 AZ994 BA387 BB1 BD880 BE32
  BF226 BG359 BH973 BI257 BJ229 BL590 BM1 BN673 BO591 BQ599 BR55 BS1 BT975 BW267 BY375 BZ501 CA1 CC61 CD243 CF236
  CG242 CH41 CI225 CK682 CL56 CM237 CN86 CO57 CR506 CU53 CV238 CW599 CX61 CY357 CZ420 DE49 DJ253 DK45 DM1 DO1
  DZ213 EC593 EE372 EG20 EH212 ER291 ES34 ET251 FI358 FJ679 FK500 FM691 FO298 FR33 GA241 GB44 GD1 GE995 GF594 GG44
  GH233 GI350 GL299 GM220 GN224 GP590 GQ240 GR30 GT502 GU1 GW245 GY592 HK852 HN504 HR385 HT509 HU36 ID62 IE353
  IL972 IM44 IN91 IO246 IQ964 IR98 IS354 IT39 JE44 JM1 JO962 JP81 KE254 KG996 KH855 KI686 KM269 KN1 KP850 KR82
  KW965 KY1 KZ7 LA856 LB961 LC1 LI423 LK94 LR231 LS266 LT370 LU352 LV371 LY218 MA212 MC377 MD373 ME382 MF590 MG261
  MH692 MK389 ML223 MM95 MN976 MO853 MP1 MQ596 MR222 MS1 MT356 MU230 MV960 MW265 MX52 MY60 MZ258 NA264 NC687 NE227
  NF672 NG234 NI505 NL31 NO47 NP977 NR674 NU683 NZ64 OM968 PA507 PE51 PF689 PG675 PH63 PK92 PL48 PM508 PR1 PS970
  PT351 PW680 PY595 QA974 RE262 RO40 RS381 RU7 RW250 SA966 SB677 SC248 SD249 SE46 SG65 SH290 SI386 SJ47 SK421 SL232
  SM378 SN221 SO252 SR597 SS211 ST239 SV503 SX1 SY963 SZ268 TA290 TC1 TD235 TG228 TH66 TJ992 TK690 TL670 TM993
  TN216 TO676 TR90 TT1 TV688 TW886 TZ255 UA380 UG256 US1 UY598 UZ998 VA39 VC1 VE58 VG1 VI1 VN84 VU678 WF681 WS685
  XK383 YE967 YT262 ZA27 ZM260 ZW263`.split(/\s+/).map((each) => [each.slice(0, 2), each.slice(2)]),
);

/** Tags of `languages/`; English is here. */
export const LANGUAGES =
  `ar bg bs ca cs da de el es et fa fi fr he hi hr hu id it ja ko lt lv ms nb nl pl pt pt-br ro ru sk sl sr-latn
  sv th tr uk vi zh-hans zh-hant`.split(/\s+/);

/** `{in}` is "in 30 seconds", in the words of the language. Errors have the names of the service's codes. */
export const ENGLISH = Object.freeze({
  phone: "Phone number",
  country: "Country",
  send: "Send code",
  sent: "Code sent to {to}.",
  code: "Code",
  verify: "Verify",
  resend: "Send a new code",
  wait: "New code {in}",
  edit: "Change number",
  verified: "Number verified.",
  wrong_code: "Wrong code. Attempts left: {count}.",
  invalid_number: "Enter a valid phone number.",
  invalid_code_format: "Enter the code from the message.",
  undeliverable: "A code cannot be sent to this number.",
  throttled: "Too many attempts. Try again {in}.",
  expired: "The code has expired. Ask for a new one.",
  max_attempts_reached: "Too many wrong codes. Ask for a new one.",
  delivery_failed: "The message could not be sent. Try again.",
  offline: "No internet connection.",
  error: "Something went wrong. Try again.",
});

const RIGHT_TO_LEFT = new Set(["ar", "fa", "he"]);
/** As the service reads tags: renamed subtags, and those without a script or language of their own. */
const RENAMED = new Map([["in", "id"], ["iw", "he"], ["no", "nb"]]);
const READ_AS = new Map([
  ["nn", "nb"], ["sr", "sr-latn"], ["zh", "zh-hans"], ["zh-hk", "zh-hant"], ["zh-mo", "zh-hant"], ["zh-tw", "zh-hant"],
]);

/** Codes that have the text of another. */
const SAME_TEXT = new Map([["blocked", "undeliverable"]]);
/** Faults of what was typed. */
const OF_THE_FIELD = new Set(["invalid_number", "undeliverable", "blocked", "wrong_code", "invalid_code_format"]);
/** The verification is gone: only a new start helps. */
const OVER = new Set(["verification_closed", "verification_not_found"]);
/** A start may try several providers; the service gives up after 30 seconds at the latest. */
const PATIENCE_MS = 35_000;

// light-dark() follows the color-scheme that the page declares, and with "light dark" the person's own wish.
const STYLE = `
:host { display: block; max-width: 24rem; color: var(--otp-text, light-dark(#14181f, #e9edf2)) }
:host([hidden]) { display: none }
* { box-sizing: border-box }
div, form { display: grid; gap: var(--otp-gap, .75rem) }
label { display: grid; gap: .25rem; min-width: 0; font-weight: 600 }
p { margin: 0; overflow-wrap: anywhere }
p:empty { position: absolute } /* out of the grid, not out of the accessibility tree */
[part~=status] { color: var(--otp-muted, light-dark(#566070, #9aa5b4)) }
[part~=error] { color: var(--otp-error, light-dark(#b3261e, #ffb4ab)) }
input, select, button { font: inherit; font-size: max(1rem, 16px); min-height: 2.75rem; width: 100%;
  border: 1px solid var(--otp-border, light-dark(#767f8c, #7d8794)); border-radius: var(--otp-radius, .5rem) }
input, select { padding: .5rem .75rem; color: inherit; background: var(--otp-field, light-dark(#fff, #14181d)) }
option { color: initial; background: initial }
[part~=code] { font: 600 1.5rem/1.25 ui-monospace, monospace; letter-spacing: .2em; text-align: center }
[aria-invalid=true] { border-color: var(--otp-error, light-dark(#b3261e, #ffb4ab)) }
button { padding: .5rem 1rem; cursor: pointer; color: var(--otp-accent, light-dark(#0b6e54, #4fd1a5)); background: none;
  border-color: transparent }
[part~=primary] { font-weight: 600; color: var(--otp-on-accent, light-dark(#fff, #0b1512));
  background: var(--otp-accent, light-dark(#0b6e54, #4fd1a5)) }
button:disabled { cursor: default; color: var(--otp-muted, light-dark(#566070, #9aa5b4)) }
[aria-busy=true] button { cursor: progress }
:focus-visible { outline: 3px solid var(--otp-accent, light-dark(#0b6e54, #4fd1a5)); outline-offset: 2px }
`;

export class OtpVerify extends HTMLElement {
  static formAssociated = true;
  static observedAttributes = ["lang", "strings"];

  #internals = this.attachInternals();
  #own = {};
  #strings = ENGLISH;
  #language = "en";
  #step = "phone";
  #typed = { to: "", region: "" };
  #sentTo = "";
  #canSend = true;
  #sendAt = 0;
  #busy = false;
  #timer = 0;
  #waiting = new AbortController();

  #status = element("p", { role: "status", part: "status" });
  #fields = element("div", {});
  #error = element("p", { role: "alert", part: "error", id: "error" });
  #actions = element("div", {});
  #resend = element("button", { type: "button", part: "button resend" });
  #form = element("form", { part: "form", novalidate: "" }, this.#status, this.#fields, this.#error, this.#actions);

  /** Texts in place of the built-in ones, by the keys of `ENGLISH`. */
  get strings() {
    return this.#own;
  }

  set strings(own) {
    this.#own = own;
    this.#load();
  }

  connectedCallback() {
    if (Object.hasOwn(this, "strings")) { // set before the element was defined
      const own = this.strings;
      delete this.strings;
      this.#own = own;
    }
    this.#load();
  }

  disconnectedCallback() {
    this.#rest();
  }

  attributeChangedCallback() {
    if (this.shadowRoot) this.#load();
  }

  /** Read the language; only then does the shadow hide the form that works without it. */
  async #load() {
    const language = this.#wanted();
    const translated = await read(language);
    if (!this.isConnected || language !== this.#wanted()) return;
    this.#language = translated === ENGLISH ? "en" : language;
    this.#strings = { ...ENGLISH, ...translated, ...JSON.parse(this.getAttribute("strings") ?? "{}"), ...this.#own };
    if (!this.shadowRoot) this.#begin();
    this.#form.lang = this.#language;
    this.#form.dir = RIGHT_TO_LEFT.has(this.#language) ? "rtl" : "ltr";
    this.#show(this.#step);
  }

  #wanted() {
    return lookup(this.closest("[lang]")?.lang || navigator.language);
  }

  #begin() {
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    const style = new CSSStyleSheet(); // no style element: works under any Content-Security-Policy
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style];
    root.append(this.#form);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#step === "phone" ? this.#start() : this.#check();
    });
    this.#resend.addEventListener("click", () => this.#sendAgain());
    this.#typed = { to: this.querySelector("input[name=to]")?.value ?? "", region: this.#guessedRegion() };
    this.#sentTo = this.getAttribute("to") ?? "";
    this.#sendAt = Date.now() + 1000 * Number(this.getAttribute("next-send-in") ?? 0);
    this.#step = this.getAttribute("step") === "code" ? "code" : "phone";
  }

  #show(step) {
    const strings = this.#strings;
    this.#rest();
    this.#step = step;
    this.#say(step === "code" && this.#sentTo ? fill(strings.sent, { to: leftToRight(this.#sentTo) }) : "");
    if (step === "phone") this.#knowsNumber ? this.#showSend(strings) : this.#showPhone(strings);
    if (step === "code") this.#showCode(strings);
    if (step === "verified") this.#showVerified(strings);
  }

  #showPhone(strings) {
    const country = element("select", { part: "field country" }, ...this.#countries());
    const phone = element("input", {
      part: "field phone", type: "tel", name: "to", autocomplete: "tel", dir: "ltr", required: "",
    });
    country.value = this.#typed.region;
    phone.value = this.#typed.to;
    country.addEventListener("change", () => (this.#typed.region = country.value));
    phone.addEventListener("input", () => {
      this.#typed.to = phone.value;
      country.value = this.#typed.region = this.#regionOf(ascii(phone.value)) ?? this.#typed.region;
    });
    this.#fields.replaceChildren(labelled(strings.country, country), labelled(strings.phone, phone));
    this.#actions.replaceChildren(button(strings.send));
    this.#require(phone);
  }

  #showSend(strings) {
    const send = button(strings.send);
    this.#fields.replaceChildren();
    this.#actions.replaceChildren(send);
    this.#require(send);
  }

  #showCode(strings) {
    // No maxlength: it would cut "123 456" when pasted. No pattern: the service takes digits of any script.
    const code = element("input", {
      part: "field code", name: "code", inputmode: "numeric", autocomplete: "one-time-code", dir: "ltr",
      autocapitalize: "off", spellcheck: "false", required: "",
    });
    const edit = element("button", { type: "button", part: "button edit" }, strings.edit);
    edit.addEventListener("click", () => {
      if (this.#busy) return;
      this.#complain("");
      this.#show("phone");
      this.#field.focus();
    });
    this.#fields.replaceChildren(labelled(strings.code, code));
    this.#actions.replaceChildren(button(strings.verify), this.#resend, ...(this.#knowsNumber ? [] : [edit]));
    this.#resend.hidden = !this.#canSend;
    this.#require(code);
    this.#timer = setInterval(() => this.#tick(), 1000);
    this.#tick();
    this.#listen();
  }

  #showVerified(strings) {
    this.#fields.replaceChildren();
    this.#actions.replaceChildren();
    this.#say(strings.verified);
    this.#internals.setValidity({});
    this.#internals.setFormValue("verified");
  }

  /** A form around the element cannot be sent before the number is verified. */
  #require(next) {
    const { invalid_number, invalid_code_format } = this.#strings;
    this.#internals.setFormValue(null);
    this.#internals.setValidity(
      { valueMissing: true }, next.name === "to" ? invalid_number : invalid_code_format, next,
    );
  }

  async #start() {
    if (this.#knowsNumber) return this.#send({}, this.#sentTo);
    const to = ascii(this.#field.value).trim();
    if (!/\d/.test(to)) return this.#fail({ code: "invalid_number" });
    const region = to.startsWith("+") ? {} : { region: this.#typed.region };
    return this.#send({ to, ...region }, to);
  }

  async #send(number, shown) {
    const answer = await this.#ask("start", { ...number, locale: this.#language });
    if (answer) this.#sent(answer, answer.to_masked ?? shown);
  }

  async #sendAgain() {
    const answer = await this.#ask("resend", {});
    if (answer) this.#sent(answer, answer.to_masked ?? this.#sentTo);
  }

  #sent({ next_send_in = 0, sends_left = 1 }, to) {
    this.#sentTo = to;
    this.#canSend = sends_left > 0;
    this.#sendAt = Date.now() + 1000 * next_send_in;
    this.#show("code");
    this.#field.focus();
  }

  async #check() {
    const code = ascii(this.#field.value).replace(/[\s\p{Pd}]/gu, "");
    if (!code) return this.#fail({ code: "invalid_code_format" });
    const answer = await this.#ask("check", { code });
    if (!answer) return;
    if (answer.status === "approved") return this.#approve(answer);
    if (answer.status === "pending") return this.#fail({ code: "wrong_code", checks_left: answer.checks_left });
    this.#fail({ code: "verification_closed", verification_status: answer.status });
  }

  #approve(answer) {
    this.#show("verified");
    this.#status.tabIndex = -1;
    this.#status.focus();
    const next = this.getAttribute("verified-url");
    if (this.#tell("otp-verified", answer) && next) location.assign(new URL(next, document.baseURI));
  }

  /** Post what the form inside the element would post, its hidden fields too: they may hold a CSRF token. */
  async #ask(verb, fields) {
    if (this.#busy) return null;
    this.#complain("");
    this.#work(true);
    const body = new URLSearchParams(fields);
    for (const { name, value } of this.querySelectorAll("input[type=hidden][name]")) body.set(name, value);
    try {
      return await post(this.getAttribute(`${verb}-url`), body);
    } catch (problem) {
      if (verb === "resend" && problem.retry_after) this.#sendAt = Date.now() + 1000 * problem.retry_after;
      this.#fail(problem);
      return null;
    } finally {
      this.#work(false);
    }
  }

  #fail(problem) {
    const { code, verification_status, checks_left = 0, retry_after = 60 } = problem;
    const over = OVER.has(code);
    if (over) this.#show("phone");
    const name = over ? verification_status : (SAME_TEXT.get(code) ?? code);
    const text = this.#strings[name] ?? this.#strings[over ? "expired" : "error"];
    const count = new Intl.NumberFormat(this.#language).format(checks_left);
    this.#complain(fill(text, { count, in: this.#soon(retry_after) }), OF_THE_FIELD.has(code));
    this.#tell("otp-error", problem);
  }

  #complain(text, ofTheField = false) {
    const field = this.#field;
    this.#error.textContent = text;
    field?.setAttribute("aria-invalid", String(ofTheField));
    field?.removeAttribute("aria-describedby");
    if (!text) return;
    const next = field ?? this.#actions.querySelector("button");
    next?.setAttribute("aria-describedby", "error");
    next?.focus();
    if (ofTheField) field?.select();
  }

  /** Seconds until the next send are counted from a moment, because timers of a hidden page come late. */
  #tick() {
    const left = Math.ceil((this.#sendAt - Date.now()) / 1000);
    this.#resend.disabled = left > 0;
    this.#resend.textContent = left > 0 ? fill(this.#strings.wait, { in: this.#soon(left) }) : this.#strings.resend;
  }

  /** WebOTP: where the browser reads the message itself, the code fills itself in. */
  async #listen() {
    if (!("OTPCredential" in window)) return;
    const { signal } = (this.#waiting = new AbortController());
    try {
      const { code } = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal });
      if (signal.aborted) return;
      this.#field.value = code;
      this.#check();
    } catch {
      // The person said no, or typed faster.
    }
  }

  /** Stop what goes on beside the person. */
  #rest() {
    clearInterval(this.#timer);
    this.#waiting.abort();
  }

  #work(busy) {
    this.#busy = busy;
    this.#form.setAttribute("aria-busy", String(busy));
  }

  #say(text) {
    this.#status.textContent = text;
  }

  #tell(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  /** The back end knows whom to ask, so there is nothing to type before the code. */
  get #knowsNumber() {
    return this.hasAttribute("number-known");
  }

  get #field() {
    return this.#fields.querySelector("input");
  }

  #soon(seconds) {
    const format = new Intl.RelativeTimeFormat(this.#language);
    if (seconds < 100) return format.format(seconds, "second");
    if (seconds < 6000) return format.format(Math.ceil(seconds / 60), "minute");
    return format.format(Math.ceil(seconds / 3600), "hour");
  }

  #regions() {
    const wanted = this.getAttribute("countries")?.split(/[\s,]+/).filter((region) => CALLING_CODES.has(region));
    return wanted?.length ? wanted : [...CALLING_CODES.keys()];
  }

  #countries() {
    const names = new Intl.DisplayNames(this.#language, { type: "region" });
    const { compare } = new Intl.Collator(this.#language);
    return this.#regions()
      .map((value) => ({ value, text: `${names.of(value)} (${leftToRight(`+${CALLING_CODES.get(value)}`)})` }))
      .sort((one, other) => compare(one.text, other.text))
      .map(({ value, text }) => element("option", { value }, text));
  }

  #guessedRegion() {
    const regions = this.#regions();
    const likely = [this.getAttribute("country"), new Intl.Locale(navigator.language).maximize().region];
    return likely.find((region) => regions.includes(region)) ?? regions[0];
  }

  /** The country that an international number is of, as far as its calling code tells. */
  #regionOf(number) {
    const digits = number.replace(/[^+\d]/g, "");
    const fits = (region) => digits.startsWith(`+${CALLING_CODES.get(region)}`);
    return [this.#typed.region, ...MAIN_REGIONS, ...this.#regions()].find(
      (region) => fits(region) && this.#regions().includes(region),
    );
  }
}

/** Of countries that share a calling code, the one whose it is. */
const MAIN_REGIONS = ["US", "GB", "RU", "IT", "NO", "FI", "AU", "MA", "RE", "GP", "CW", "SH"];

function element(tag, attributes, ...children) {
  const made = document.createElement(tag); // never innerHTML: works where Trusted Types are required
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const labelled = (text, field) => element("label", { part: "label" }, text, field);
const button = (text) => element("button", { part: "button primary" }, text);
const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** A number inside a text of either direction (UAX #9: left-to-right isolate). */
const leftToRight = (text) => `\u2066${text}\u2069`;

/** Digits of any script as 0-9: each script has its ten in a row. */
function ascii(text) {
  return text.normalize("NFKC").replace(/\p{Nd}/gu, (digit) => {
    let zero = digit.codePointAt(0);
    while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
    return digit.codePointAt(0) - zero;
  });
}

/** The language to show for a BCP 47 tag (RFC 4647, section 3.4). */
function lookup(tag) {
  const [language, ...rest] = tag.toLowerCase().split(/[-_]/);
  for (let parts = [RENAMED.get(language) ?? language, ...rest]; parts.length; parts.pop()) {
    const found = parts.join("-");
    if (LANGUAGES.includes(found)) return found;
    if (READ_AS.has(found)) return READ_AS.get(found);
  }
  return "en";
}

async function read(language) {
  if (language === "en") return ENGLISH;
  try {
    return (await import(`./languages/${language}.js`)).default;
  } catch {
    return ENGLISH; // better than nothing at all
  }
}

/** The answer, or as an exception `{code, detail, retry_after, …}`. */
async function post(url, body) {
  let answer;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    answer = await fetch(url, { method: "POST", headers: { Accept: "application/json" }, body, signal });
  } catch (fault) {
    throw { code: fault.name === "TimeoutError" ? "error" : "offline" };
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok && told.status) return told;
  const retry_after = Number(answer.headers.get("Retry-After")) || undefined;
  throw { retry_after, code: "error", ...told, status: answer.status };
}

customElements.define("otp-verify", OtpVerify);
