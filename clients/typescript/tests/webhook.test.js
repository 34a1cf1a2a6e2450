import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { InvalidWebhook, unwrap } from "otp-service-client";

// The vector that Standard Webhooks and Svix publish in their libraries' tests.
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const VECTOR = '{"test": 2432232314}';
const SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const ID = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT_AT = 1_614_265_330;

const OTHER = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const BODY = '{"type": "verification.approved", "timestamp": "2021-02-25T15:02:10Z", "data": {"payee": "Õun, 1 €"}}';
const EVENT = {
  id: ID,
  type: "verification.approved",
  timestamp: new Date(SENT_AT * 1_000),
  data: { payee: "Õun, 1 €" },
};
const at = (seconds) => ({ now: () => seconds * 1_000 });

/** The headers of a body that the service sent. */
function headersOf(body) {
  const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${ID}.${SENT_AT}.${body}`).digest("base64");
  return { "webhook-id": ID, "webhook-timestamp": `${SENT_AT}`, "webhook-signature": `v1,${signature}` };
}

const HEADERS = headersOf(BODY);
const CAPITALS = Object.fromEntries(Object.entries(HEADERS).map(([name, value]) => [name.toUpperCase(), value]));
const SEVERAL = { ...HEADERS, "webhook-signature": `${OTHER} v1a,x ${HEADERS["webhook-signature"]}` };

test("these tests sign as the published vector is signed", () => {
  assert.equal(headersOf(VECTOR)["webhook-signature"], SIGNATURE);
});

test("the published vector is signed, and then no event", async () => {
  await assert.rejects(unwrap(VECTOR, headersOf(VECTOR), SECRET, at(SENT_AT)), {
    name: "InvalidWebhook",
    message: "the body is not an event",
  });
});

for (const [what, body, headers, secret] of [
  ["text", BODY, HEADERS, SECRET],
  ["bytes", new TextEncoder().encode(BODY), HEADERS, SECRET],
  ["the Headers of a Request", BODY, new Headers(HEADERS), SECRET],
  ["headers in capitals", BODY, CAPITALS, SECRET],
  ["several signatures", BODY, SEVERAL, SECRET],
  ["a secret without its prefix", BODY, HEADERS, SECRET.slice("whsec_".length)],
]) {
  test(`an event comes out of ${what}`, async () => {
    assert.deepEqual(await unwrap(body, headers, secret, at(SENT_AT)), EVENT);
  });
}

for (const [what, body, headers, secret = SECRET] of [
  ["an altered body", BODY.replace("1 €", "9 €"), HEADERS],
  ["a body parsed and written again", JSON.stringify(JSON.parse(BODY)), HEADERS],
  ["another id", BODY, { ...HEADERS, "webhook-id": "msg_2" }],
  ["another time", BODY, { ...HEADERS, "webhook-timestamp": `${SENT_AT + 1}` }],
  ["another secret", BODY, HEADERS, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
  ["another signature", BODY, { ...HEADERS, "webhook-signature": OTHER }],
  ["half a signature", BODY, { ...HEADERS, "webhook-signature": HEADERS["webhook-signature"].slice(0, 20) }],
  ["another version", BODY, { ...HEADERS, "webhook-signature": HEADERS["webhook-signature"].replace("v1", "v2") }],
  ["no signature", BODY, { ...HEADERS, "webhook-signature": undefined }],
  ["no headers", BODY, {}],
]) {
  test(`${what} is refused`, async () => {
    await assert.rejects(unwrap(body, headers, secret, at(SENT_AT)), { name: "InvalidWebhook", message: /signature/ });
  });
}

for (const age of [-300, 300]) {
  test(`an age of ${age} s is taken`, async () => {
    assert.ok(await unwrap(BODY, HEADERS, SECRET, at(SENT_AT + age)));
  });
}

for (const age of [-301, 301]) {
  test(`an age of ${age} s is refused, though the signature is good`, async () => {
    await assert.rejects(unwrap(BODY, HEADERS, SECRET, at(SENT_AT + age)), { message: /timestamp/ });
  });
}

for (const body of ["{", "[]", '{"type": "x", "timestamp": "soon", "data": {}}', BODY.replace("data", "date")]) {
  test(`what is signed and no event is refused: ${body}`, async () => {
    await assert.rejects(unwrap(body, headersOf(body), SECRET, at(SENT_AT)), InvalidWebhook);
  });
}

for (const secret of ["", "whsec_", "whsec_***", "whsec_AAAAA", "otp_live_k1_secret"]) {
  test(`a secret that is none is refused and not repeated: ${secret}`, async () => {
    const refused = { name: "TypeError", message: "secret must be whsec_ and base64" };
    await assert.rejects(unwrap(BODY, HEADERS, secret, at(SENT_AT)), refused);
  });
}
