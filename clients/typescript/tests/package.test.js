import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as browser from "otp-service-client/browser";
import * as server from "otp-service-client";
import { API_KEY, BASE_URL } from "./service.js";

const ROOT = new URL("..", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8"));

/** A module run by a Node that resolves packages under these conditions. */
function node(conditions, code) {
  const flags = conditions.map((name) => `--conditions=${name}`);
  const command = [...flags, "--input-type=module", "--eval", code];
  return spawnSync(process.execPath, command, { cwd: ROOT, encoding: "utf8" });
}

test("the server's public names are these", () => {
  assert.deepEqual(Object.keys(server), [
    "APIError",
    "Blocked",
    "Client",
    "Closed",
    "Conflict",
    "ConnectionFailed",
    "DeliveryFailed",
    "Forbidden",
    "InvalidProof",
    "InvalidRequest",
    "InvalidWebhook",
    "NotFound",
    "OtpError",
    "ProofVerifier",
    "Throttled",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
    "Undeliverable",
    "UnexpectedAnswer",
    "unwrap",
    "version",
  ]);
});

test("the browser's public names are these", () => {
  assert.deepEqual(Object.keys(browser), ["RequestFailed", "checkVerification", "startVerification"]);
});

test("a client's public members are its verbs", () => {
  const members = Object.getOwnPropertyNames(server.Client.prototype);
  assert.deepEqual(members, ["constructor", "start", "resend", "check", "cancel", "fetch"]);
});

test("the version is that of the package", () => {
  assert.equal(server.version, manifest.version);
});

test("nothing is needed at run time but the platform", () => {
  assert.deepEqual(Object.keys(manifest).filter((name) => /dependencies/i.test(name)), ["devDependencies"]);
});

test("built for a browser, importing the server's entry throws and says what to import instead", () => {
  const { status, stderr } = node(["browser"], 'import "otp-service-client"');
  assert.equal(status, 1);
  assert.match(stderr, /pages import otp-service-client\/browser/);
});

test("built for a browser, there is no client to be found", () => {
  const { stderr } = node(["browser"], 'import { Client } from "otp-service-client"');
  assert.match(stderr, /does not provide an export named 'Client'/);
});

test("built for a browser, the browser's entry is found", () => {
  assert.equal(node(["browser"], 'import "otp-service-client/browser"').status, 0);
});

for (const edge of ["workerd", "edge-light"]) {
  test(`an edge bundler that sets ${edge} besides browser finds the client`, () => {
    assert.equal(node([edge, "browser"], 'import { Client } from "otp-service-client"').status, 0);
  });
}

test("in a page without a bundler no client can be made", () => {
  globalThis.document = {};
  try {
    assert.throws(() => new server.Client(BASE_URL, API_KEY), /otp-service-client\/browser/);
  } finally {
    delete globalThis.document;
  }
});

test("the browser's entry imports nothing", () => {
  assert.doesNotMatch(readFileSync(new URL("dist/browser.js", ROOT), "utf8"), /\bimport\b/);
});

test("the tarball holds the build, the README, the licence and no more", () => {
  const pack = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const said = execFileSync("npm", pack, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const packed = JSON.parse(said)[0].files;
  const others = packed.map(({ path }) => path).filter((path) => !/^dist\/[\w-]+(\.d\.ts|\.js)$/.test(path));
  assert.deepEqual(others.sort(), ["LICENSE", "README.md", "package.json"]);
});
