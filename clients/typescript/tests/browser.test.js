import assert from "node:assert/strict";
import { test } from "node:test";
import { checkVerification, RequestFailed, startVerification } from "otp-service-client/browser";

function backEnd(response) {
  const seen = [];
  const fetch = async (url, init) => {
    seen.push({ url, ...init });
    return response;
  };
  return { fetch, seen };
}

for (const post of [startVerification, checkVerification]) {
  test(`${post.name} posts JSON to the given URL, with the page's own cookies and no key`, async () => {
    const { fetch, seen } = backEnd(Response.json({ approved: true }));
    assert.deepEqual(await post("/verification", { code: "123456" }, { fetch }), { approved: true });
    assert.deepEqual(seen, [
      {
        url: "/verification",
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: '{"code":"123456"}',
        credentials: "same-origin",
        signal: null,
      },
    ]);
  });
}

test("a refusal carries the status and what the back end said", async () => {
  const { fetch } = backEnd(Response.json({ retryAfter: 30 }, { status: 429 }));
  await assert.rejects(startVerification("/start", {}, { fetch }), {
    name: "RequestFailed",
    status: 429,
    body: { retryAfter: 30 },
  });
});

test("a refusal that is a page is a refusal", async () => {
  const { fetch } = backEnd(new Response("<html>", { status: 502 }));
  const failed = await startVerification("/start", {}, { fetch }).catch((error) => error);
  assert.ok(failed instanceof RequestFailed);
  assert.deepEqual([failed.status, failed.body], [502, null]);
});
