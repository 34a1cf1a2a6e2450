/* The service's public keys, fetched once and kept for a while. */

import { bytesIn } from "./base64.js";
import { UnexpectedAnswer } from "./errors.js";
import { type Json, objectIn, objectsIn, text } from "./json.js";
import { type Fetch, send } from "./transport.js";

const TIMEOUT_MS = 12_000;
// As jose's createRemoteJWKSet: a withdrawn key is forgotten, and forged key ids make no flood of requests.
const MAX_AGE_MS = 600_000;
const COOLDOWN_MS = 30_000;

/** A JWK Set (RFC 7517). */
export interface Jwks {
  readonly keys: readonly object[];
}

/** The Ed25519 keys of a JWK Set, by their ids. */
export class KeySet {
  readonly #load: () => Promise<Jwks>;
  readonly #now: () => number;
  #keys: Promise<ReadonlyMap<string, CryptoKey>> | undefined;
  #loadedAt = 0;

  /** @param now Milliseconds since the epoch. */
  constructor(load: () => Promise<Jwks>, now: () => number) {
    this.#load = load;
    this.#now = now;
  }

  /** Whether the key of that id signed this text; an id that is unknown may be new, so the set is read again. */
  async signed(kid: string, text: string, signature: string): Promise<boolean> {
    const key = (await this.#within(MAX_AGE_MS)).get(kid) ?? (await this.#within(COOLDOWN_MS)).get(kid);
    const data = new TextEncoder().encode(text);
    return key !== undefined && crypto.subtle.verify("Ed25519", key, bytesIn(signature), data);
  }

  #within(maxAgeMs: number): Promise<ReadonlyMap<string, CryptoKey>> {
    if (this.#keys && this.#now() - this.#loadedAt <= maxAgeMs) return this.#keys;
    const keys = this.#load().then(imported);
    keys.catch(() => {
      if (this.#keys === keys) this.#keys = undefined;
    });
    this.#keys = keys;
    this.#loadedAt = this.#now();
    return keys;
  }
}

/**
 * The JWK Set that a service publishes.
 *
 * @throws {ConnectionFailed | UnexpectedAnswer} It could not be had.
 */
export async function fetchJwks(issuer: string, fetch: Fetch): Promise<Jwks> {
  const init = { headers: { Accept: "application/json" } };
  const answer = await send(fetch, `${issuer}/.well-known/jwks.json`, init, TIMEOUT_MS);
  const { keys } = objectIn(answer.text);
  if (answer.status !== 200 || !Array.isArray(keys)) throw new UnexpectedAnswer(answer.status);
  return { keys };
}

/** RFC 8037; keys of other kinds are not for proofs. */
async function imported(jwks: Jwks): Promise<ReadonlyMap<string, CryptoKey>> {
  const ours = objectsIn({ ...jwks }, "keys").filter((key) => key.kty === "OKP" && key.crv === "Ed25519");
  const pairs = ours.map(async (key) => [text(key, "kid"), await importedKey(key)] as const);
  return new Map(await Promise.all(pairs));
}

function importedKey(key: Json): Promise<CryptoKey> {
  // Raw, because runtimes differ on the `alg` that they take in a JWK of this curve.
  return crypto.subtle.importKey("raw", bytesIn(text(key, "x")), "Ed25519", false, ["verify"]);
}
