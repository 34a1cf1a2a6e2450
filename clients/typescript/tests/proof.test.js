import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { ConnectionFailed, InvalidProof, ProofVerifier, UnexpectedAnswer } from "otp-service-client";
import { BASE_URL } from "./service.js";

// RFC 8037, appendix A: the key, and the signature of "Example of Ed25519 signing".
const RFC_8037 = {
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};
const SIGNED_AT = 1_795_168_800;
const CLAIMS = {
  iss: BASE_URL,
  aud: "web",
  sub: "+37256789045",
  jti: "vrf_7",
  purpose: "verify",
  amr: ["otp", "sms"],
  iat: SIGNED_AT,
  exp: SIGNED_AT + 300,
};
const VERIFY = { purpose: "verify" };
const TRANSACTION = { payee: "ACME", amount: "12.00 EUR" };
const KEY = { kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig", kid: "k1", x: RFC_8037.x };
const JWKS = { keys: [{ kty: "RSA", kid: "k0", n: "AQAB", e: "AQAB" }, KEY] };

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const encoded = (part) => base64url(JSON.stringify(part));
const privateKey = await crypto.subtle.importKey(
  "jwk",
  { kty: "OKP", crv: "Ed25519", ...RFC_8037 },
  "Ed25519",
  false,
  ["sign"],
);

async function signed(claims = {}, header = {}) {
  const parts = [{ alg: "EdDSA", typ: "JWT", kid: "k1", ...header }, { ...CLAIMS, ...claims }];
  const data = parts.map(encoded).join(".");
  return `${data}.${base64url(await crypto.subtle.sign("Ed25519", privateKey, Buffer.from(data)))}`;
}

function verifier(options = {}) {
  return new ProofVerifier(BASE_URL, "web", { jwks: JWKS, now: () => SIGNED_AT * 1_000, ...options });
}

/** A JWKS that can be asked for, and how often it was. */
function published(...documents) {
  const seen = [];
  const fetch = async (url) => {
    seen.push(url);
    const found = documents[Math.min(seen.length, documents.length) - 1];
    if (found instanceof Error) throw found;
    return Response.json(found);
  };
  return { fetch, seen };
}

test("a good proof tells verification, number, purpose and end", async () => {
  assert.deepEqual(await verifier().verify(await signed(), VERIFY), {
    verificationId: "vrf_7",
    number: "+37256789045",
    purpose: "verify",
    expiresAt: new Date((SIGNED_AT + 300) * 1_000),
  });
});

test("console.log of a proof leaves out the number", async () => {
  const proof = await verifier().verify(await signed(), VERIFY);
  assert.doesNotMatch(inspect(proof), /37256789045/);
});

test("a proof of the expected transaction is good", async () => {
  const transaction = TRANSACTION;
  assert.ok(await verifier().verify(await signed({ transaction }), { ...VERIFY, transaction }));
});

test("the issuer's trailing slash does not matter", async () => {
  const theirs = await signed({ iss: `${BASE_URL}/` });
  const ours = new ProofVerifier(`${BASE_URL}/`, "web", { jwks: JWKS, now: () => SIGNED_AT * 1_000 });
  assert.equal((await ours.verify(theirs, VERIFY)).verificationId, "vrf_7");
});

for (const [what, claims, expected, message] of [
  ["another issuer", { iss: "https://evil.example.com" }, {}, /issuer/],
  ["another app", { aud: "shop" }, {}, /app/],
  ["a list of apps", { aud: ["web", "shop"] }, {}, /app/],
  ["another purpose", { purpose: "login" }, {}, /purpose/],
  ["not the expected purpose", {}, { purpose: "login" }, /purpose/],
  ["an unexpected transaction", { transaction: TRANSACTION }, {}, /transaction/],
  ["a missing transaction", {}, { transaction: TRANSACTION }, /transaction/],
  ["another amount", { transaction: TRANSACTION }, { transaction: { ...TRANSACTION, amount: "9 EUR" } }, /transaction/],
  ["another payee", { transaction: TRANSACTION }, { transaction: { ...TRANSACTION, payee: "Evil" } }, /transaction/],
  ["its last second", { exp: SIGNED_AT }, {}, /expired/],
  ["no end", { exp: undefined }, {}, /expired/],
  ["a test key", { test: true }, {}, /test key/],
  ["no number", { sub: undefined }, {}, /claim/],
]) {
  test(`a proof of ${what} is refused`, async () => {
    const verified = verifier().verify(await signed(claims), { ...VERIFY, ...expected });
    await assert.rejects(verified, { name: "InvalidProof", message });
  });
}

test("a proof of a test key is taken where that is wanted", async () => {
  assert.ok(await verifier({ acceptTest: true }).verify(await signed({ test: true }), VERIFY));
});

for (const [what, alter] of [
  ["an altered payload", ([header, , signature]) => [header, encoded({ ...CLAIMS, sub: "+1" }), signature]],
  ["an altered header", ([, ...rest]) => [encoded({ alg: "EdDSA", kid: "k1" }), ...rest]],
  ["no signature", ([header, payload]) => [header, payload, ""]],
  ["half a signature", ([header, payload, signature]) => [header, payload, signature.slice(0, 40)]],
  ["a signature of one character", ([header, payload]) => [header, payload, "A"]],
  ["no key id", ([, ...rest]) => [encoded({ alg: "EdDSA" }), ...rest]],
  ["alg none", ([, payload]) => [encoded({ alg: "none", kid: "k1" }), payload, "AA"]],
  ["alg HS256", ([, ...rest]) => [encoded({ alg: "HS256", kid: "k1" }), ...rest]],
  ["a fourth part", (parts) => [...parts, "AA"]],
  ["nothing but dots", () => ["", "", ""]],
]) {
  test(`${what} is no proof`, async () => {
    const forged = alter((await signed()).split(".")).join(".");
    await assert.rejects(verifier().verify(forged, VERIFY), InvalidProof);
  });
}

for (const [what, header] of [
  ["alg HS256", { alg: "HS256" }],
  ["no alg", { alg: undefined }],
  ["no key id", { kid: undefined }],
  ["extensions that must be understood", { crit: ["b64"], b64: false }],
]) {
  test(`a header with ${what} is refused, though the signature is good`, async () => {
    await assert.rejects(verifier().verify(await signed({}, header), VERIFY), InvalidProof);
  });
}

test("a key of the service's that did not sign it does not verify it", async () => {
  const other = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const { x } = await crypto.subtle.exportKey("jwk", other.publicKey);
  await assert.rejects(verifier({ jwks: { keys: [{ ...KEY, x }] } }).verify(await signed(), VERIFY), InvalidProof);
});

test("the keys are fetched once, from the issuer, however many ask at once", async () => {
  const { fetch, seen } = published(JWKS);
  const ours = verifier({ jwks: undefined, fetch });
  const proof = await signed();
  await Promise.all([ours.verify(proof, VERIFY), ours.verify(proof, VERIFY)]);
  await ours.verify(proof, VERIFY);
  assert.deepEqual(seen, [`${BASE_URL}/.well-known/jwks.json`]);
});

test("given keys are never fetched", async () => {
  const { fetch, seen } = published(JWKS);
  await assert.rejects(verifier({ fetch }).verify(await signed({}, { kid: "k2" }), VERIFY), InvalidProof);
  assert.deepEqual(seen, []);
});

test("an unknown key id fetches the keys again, at most every 30 s", async () => {
  const { fetch, seen } = published({ keys: [] }, JWKS);
  let now = SIGNED_AT * 1_000;
  const ours = verifier({ jwks: undefined, fetch, now: () => now });
  const proof = await signed();
  await assert.rejects(ours.verify(proof, VERIFY), InvalidProof);
  now += 30_000;
  await assert.rejects(ours.verify(proof, VERIFY), InvalidProof);
  assert.equal(seen.length, 1);
  now += 1;
  assert.equal((await ours.verify(proof, VERIFY)).verificationId, "vrf_7");
  assert.equal(seen.length, 2);
});

test("a key that was withdrawn is forgotten after ten minutes", async () => {
  const { fetch } = published(JWKS, { keys: [] });
  let now = SIGNED_AT * 1_000;
  const ours = verifier({ jwks: undefined, fetch, now: () => now });
  const proof = await signed({ exp: SIGNED_AT + 3_600 });
  await ours.verify(proof, VERIFY);
  now += 600_000;
  await ours.verify(proof, VERIFY);
  now += 1;
  await assert.rejects(ours.verify(proof, VERIFY), InvalidProof);
});

test("keys that could not be fetched are asked for again", async () => {
  const { fetch } = published(new TypeError("fetch failed"), { error: "not yet" }, JWKS);
  const ours = verifier({ jwks: undefined, fetch });
  await assert.rejects(ours.verify(await signed(), VERIFY), ConnectionFailed);
  await assert.rejects(ours.verify(await signed(), VERIFY), UnexpectedAnswer);
  assert.equal((await ours.verify(await signed(), VERIFY)).verificationId, "vrf_7");
});

test("an issuer that is no URL is refused", () => {
  assert.throws(() => new ProofVerifier("otp.example.com", "web"), TypeError);
});
