/* Every case of clients/cases.json, with the shortest and the longest jitter. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as otp from "otp-service-client";
import { API_KEY, serve } from "./service.js";

const CASES = JSON.parse(readFileSync(new URL("../../cases.json", import.meta.url), "utf8"));
const KINDS = {
  api: otp.APIError,
  blocked: otp.Blocked,
  closed: otp.Closed,
  conflict: otp.Conflict,
  connection: otp.ConnectionFailed,
  delivery_failed: otp.DeliveryFailed,
  forbidden: otp.Forbidden,
  invalid_argument: TypeError,
  invalid_request: otp.InvalidRequest,
  not_found: otp.NotFound,
  throttled: otp.Throttled,
  timeout: otp.TimedOut,
  unauthenticated: otp.Unauthenticated,
  unavailable: otp.Unavailable,
  undeliverable: otp.Undeliverable,
  unexpected_answer: otp.UnexpectedAnswer,
};
const DEFAULT_TIMEOUT_MS = 12_000;

for (const jitter of [0, 1]) {
  for (const each of CASES) {
    test(`${each.name}, jitter ${jitter}`, async (t) => {
      t.mock.timers.enable({ apis: ["setTimeout"] });
      const answers = each.exchanges.map((exchange) => exchange.answer);
      const { client, service, waits } = serve(answers, {
        ...camel(each.options ?? {}),
        random: () => jitter,
        onSilence: () => t.mock.timers.tick(DEFAULT_TIMEOUT_MS),
      });

      const outcome = await outcomeOf(client, each.call);

      assert.equal(service.requests.length, each.exchanges.length);
      for (const [at, exchange] of each.exchanges.entries()) assertAsked(exchange.request, service.requests[at]);
      assert.ok(new Set(service.keys).size <= 1);
      assert.deepEqual(waits, (each.waits_ms ?? []).map((bounds) => bounds[jitter]));
      assertCameTo(each, outcome);
    });
  }
}

async function outcomeOf(client, { verb, arguments: given }) {
  const { to, id, code, ...rest } = given;
  const leading = [to, id, code].filter((each) => each !== undefined);
  try {
    return await client[verb](...leading, camel(rest));
  } catch (error) {
    return error;
  }
}

function assertAsked(expected, request) {
  assert.equal(request.method, expected.method);
  const { href, origin } = new URL(request.url);
  assert.equal(href.slice(origin.length), expected.path);
  assert.equal(request.headers.get("Authorization"), `Bearer ${API_KEY}`);
  for (const [name, value] of Object.entries(expected.headers ?? {})) assert.equal(request.headers.get(name), value);
  if (expected.method === "GET") {
    assert.equal(request.body, null);
    assert.equal(request.headers.get("Idempotency-Key"), null);
  } else {
    assert.deepEqual(JSON.parse(request.body), expected.body);
    assert.equal(request.headers.get("Content-Type"), "application/json");
    assert.ok(request.headers.get("Idempotency-Key"));
  }
}

function assertCameTo({ error, result }, outcome) {
  if (error) assert.equal(outcome.constructor, KINDS[error.kind], outcome);
  else assert.ok(!(outcome instanceof Error), outcome);
  const { kind, ...expected } = error ?? result;
  const found = plain(outcome);
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, found[name]])), expected);
}

/** As the contract writes it: names in snake_case, times as text. */
function plain(value) {
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return renamed(value, (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), plain);
}

function camel(value) {
  return renamed(value, (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), (each) => each);
}

function renamed(object, rename, convert) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [rename(name), convert(value)]));
}
