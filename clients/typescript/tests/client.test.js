import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { inspect } from "node:util";
import * as otp from "otp-service-client";
import { API_KEY, BASE_URL, DOWN, PENDING, serve } from "./service.js";

const CODE = "4071938265";

/** A server on loopback, gone with the test. */
async function listening(t, handler) {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

test("each call draws a new UUID and keeps it through its retries", async () => {
  const { client, service } = serve([DOWN, DOWN, PENDING, DOWN, PENDING]);
  await client.start("+37256789045");
  await client.start("+37256789045");
  const [first, last] = [service.keys[0], service.keys[4]];
  assert.deepEqual(service.keys, [first, first, first, last, last]);
  assert.notEqual(first, last);
  assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("a retry sends the same bytes", async () => {
  const { client, service } = serve([DOWN, PENDING]);
  await client.start("+37256789045", { metadata: { b: "1", a: "ä" } });
  const [first, second] = service.requests;
  assert.equal(first.body, second.body);
});

test("options that are undefined are not sent", async () => {
  const { client, service } = serve([PENDING]);
  await client.start("+37256789045", { region: undefined, idempotencyKey: undefined, timeoutMs: undefined });
  assert.equal(service.requests[0].body, '{"to":"+37256789045"}');
});

for (const [ofClient, ofCall, ms] of [
  [{}, {}, 12_000],
  [{ timeoutMs: 5_000 }, {}, 5_000],
  [{ timeoutMs: 5_000 }, { timeoutMs: 1_500 }, 1_500],
]) {
  test(`of ${JSON.stringify([ofClient, ofCall])} the timeout is ${ms} ms, and not one less`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { client } = serve([{ error: "timeout" }], { maxRetries: 0, onSilence, ...ofClient });
    let early = false;
    function onSilence() {
      t.mock.timers.tick(ms - 1);
      setImmediate(() => {
        early = ended;
        t.mock.timers.tick(1);
      });
    }
    let ended = false;
    const call = client.fetch("vrf_7", ofCall).finally(() => (ended = true));
    await assert.rejects(call, otp.TimedOut);
    assert.equal(early, false);
  });
}

test("a server that never answers is a timeout", async (t) => {
  const client = new otp.Client(await listening(t, () => {}), API_KEY, { timeoutMs: 50, maxRetries: 0 });
  await assert.rejects(client.fetch("vrf_7"), otp.TimedOut);
});

test("a body that never ends is a timeout", async (t) => {
  const url = await listening(t, (_, response) => response.writeHead(200).write("{"));
  const client = new otp.Client(url, API_KEY, { timeoutMs: 50, maxRetries: 0 });
  await assert.rejects(client.fetch("vrf_7"), otp.TimedOut);
});

test("a body that breaks off is no answer", async (t) => {
  const url = await listening(t, (_, response) => {
    response.writeHead(200, { "Content-Length": "100" }).write("{");
    setImmediate(() => response.destroy());
  });
  const client = new otp.Client(url, API_KEY, { maxRetries: 0 });
  await assert.rejects(client.fetch("vrf_7"), { name: "ConnectionFailed" });
});

test("a closed port is no connection, and the error says why", async (t) => {
  const url = await listening(t, () => {});
  const closed = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => closed.once("listening", resolve));
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  const client = new otp.Client(url.replace(/\d+$/, port), API_KEY, { maxRetries: 0 });
  await assert.rejects(client.fetch("vrf_7"), { name: "ConnectionFailed", message: /ECONNREFUSED/ });
});

test("a redirect from a real server is not followed, so the key goes nowhere else", async (t) => {
  const seen = [];
  const elsewhere = await listening(t, (request) => seen.push(request.url));
  const url = await listening(t, (_, response) => response.writeHead(307, { Location: elsewhere }).end());
  await assert.rejects(new otp.Client(url, API_KEY).fetch("vrf_7"), { name: "UnexpectedAnswer", status: 307 });
  assert.deepEqual(seen, []);
});

test("a signal that aborts ends the call with its reason, and nothing is tried again", async () => {
  const abort = new AbortController();
  const onSilence = () => abort.abort(new Error("the person left"));
  const { client, service } = serve([{ error: "timeout" }], { onSilence });
  await assert.rejects(client.fetch("vrf_7", { signal: abort.signal }), { message: "the person left" });
  assert.equal(service.requests.length, 1);
});

test("a signal that has aborted sends nothing", async () => {
  const { client, service } = serve([]);
  await assert.rejects(client.start("+37256789045", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(service.requests.length, 0);
});

test("a signal ends the wait before a retry", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const abort = new AbortController();
  const random = () => {
    setImmediate(() => abort.abort());
    return 0;
  };
  const { client, service } = serve([{ status: 503, body: "" }], { sleep: undefined, random });
  await assert.rejects(client.fetch("vrf_7", { signal: abort.signal }), { name: "AbortError" });
  assert.equal(service.requests.length, 1);
});

test("a call leaves no timer and no listener behind", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
  const { signal } = new AbortController();
  const { client } = serve([DOWN, PENDING], { sleep: undefined, random: () => 0 });
  const before = timers();
  await client.fetch("vrf_7", { signal });
  assert.equal(timers(), before);
  assert.deepEqual(getEventListeners(signal, "abort"), []);
});

test("the client's own wait ends by itself", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { client, service } = serve([DOWN, PENDING], {
    sleep: undefined,
    random: () => {
      setImmediate(() => t.mock.timers.tick(500));
      return 1;
    },
  });
  await client.fetch("vrf_7");
  assert.equal(service.requests.length, 2);
});

test("console.log of a client shows no key", () => {
  assert.equal(inspect(new otp.Client(BASE_URL, API_KEY), { depth: 9, showHidden: true }).includes(API_KEY), false);
});

test("console.log of a verification leaves out number and metadata, and JSON has them", async () => {
  const { client } = serve([{ status: 200, body: { ...PENDING.body, metadata: { order: "secret" } } }]);
  const verification = await client.fetch("vrf_7");
  assert.doesNotMatch(inspect(verification), /37256789045|secret/);
  assert.match(inspect(verification), /vrf_7/);
  assert.match(JSON.stringify(verification), /\+37256789045.*secret/);
});

/** The check of an answer with this proof. */
async function checked(proof, approved = true) {
  const body = { id: "vrf_7", status: "approved", approved, checks_left: 4, proof };
  return serve([{ status: 200, body }]).client.check("vrf_7", CODE);
}

function proofOf(claims) {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
}

test("an approval names the number of its proof", async () => {
  assert.equal((await checked(proofOf({ sub: "+37256789045" }))).number, "+37256789045");
});

for (const [what, proof, approved] of [
  ["a wrong guess", proofOf({ sub: "+37256789045" }), false],
  ["an approval without a proof", undefined, true],
  ["a proof that is no JWT", "secret", true],
  ["a proof of nobody", proofOf({ sub: 7 }), true],
]) {
  test(`${what} names no number`, async () => {
    assert.equal((await checked(proof, approved)).number, null);
  });
}

test("console.log of a check leaves out proof and number", async () => {
  const shown = inspect(await checked(proofOf({ sub: "+37256789045" })));
  assert.doesNotMatch(shown, /e30|37256789045/);
  assert.match(shown, /approved: true/);
});

test("a result is frozen, and so is what it holds", async () => {
  const { client } = serve([PENDING]);
  const verification = await client.fetch("vrf_7");
  const parts = [verification, verification.deliveries, verification.metadata];
  assert.deepEqual(parts.map(Object.isFrozen), [true, true, true]);
});

for (const answer of [
  DOWN,
  { status: 502, body: `<html>${CODE}</html>` },
  { status: 200, body: { id: CODE } },
  { status: 422, body: { code: "invalid_code_format", input: CODE } },
]) {
  test(`an error hides key and code: ${answer.error ?? answer.status}`, async () => {
    const { client } = serve([answer], { maxRetries: 0 });
    const error = await client.check("vrf_7", CODE).catch((thrown) => thrown);
    assert.ok(error instanceof otp.OtpError);
    assert.equal(inspect(error, { depth: 9, showHidden: true }).includes(CODE), false);
    assert.equal(inspect(error, { depth: 9, showHidden: true }).includes(API_KEY), false);
  });
}

for (const key of ["", "otp_live_secret\n", "otp_live_secret ö", "otp live secret"]) {
  test(`a key that no header can carry is refused and not repeated: ${JSON.stringify(key)}`, () => {
    assert.throws(() => new otp.Client(BASE_URL, key), { name: "TypeError", message: /^apiKey must be (?!.*secret)/ });
  });
}

for (const url of [
  "",
  "otp.example.com",
  "otp_live_k1_secret",
  "ftp://otp.example.com",
  "https://",
  "https://secret@otp.example.com",
  "https://user:secret@otp.example.com",
  "https://otp.example.com?x=secret",
  "https://otp.example.com#secret",
  "https://otp.example.com?",
  "https://otp.example.com:99999",
  "https://otp.example.com/secret\n",
]) {
  test(`a baseUrl that cannot be one is refused and not repeated: ${JSON.stringify(url)}`, () => {
    assert.throws(() => new otp.Client(url, API_KEY), { name: "TypeError", message: /^baseUrl must be (?!.*secret)/ });
  });
}

test("half a character is no id", async () => {
  const { client } = serve([]);
  await assert.rejects(client.fetch("vrf_\ud800"), TypeError);
});

test("a code that every object has is no class of errors", async () => {
  const { client } = serve([{ status: 400, body: { code: "constructor" } }]);
  await assert.rejects(client.fetch("vrf_7"), (error) => error.constructor === otp.APIError);
});

test("an error's message says what, why, where and which request", async () => {
  const errors = [{ pointer: "/to", detail: "Not a number." }];
  const body = { code: "throttled", reason: "cooldown", detail: "Wait.", errors, request_id: "req_7" };
  const { client } = serve([{ status: 429, body }]);
  await assert.rejects(client.resend("vrf_7"), {
    name: "Throttled",
    message: "429 throttled (cooldown): Wait.; /to: Not a number. [request req_7]",
  });
});

test("a stack begins with the name of the error", () => {
  assert.match(new otp.TimedOut("no answer").stack, /^TimedOut: no answer\n/);
});

test("JSON too deep to read is not an answer", async () => {
  const { client } = serve([{ status: 200, body: "[".repeat(100_000) }]);
  await assert.rejects(client.fetch("vrf_7"), otp.UnexpectedAnswer);
});

test("a fetch that minds its `this` is called without one", async () => {
  const { service } = serve([PENDING]);
  const strict = function (...given) {
    assert.equal(this, undefined);
    return service.fetch(...given);
  };
  await new otp.Client(BASE_URL, API_KEY, { fetch: strict }).fetch("vrf_7");
});
