/* The signed proof of an approval, verified with the service's public keys alone. */

import { textIn } from "./base64.js";
import { requireBaseUrl } from "./call.js";
import type { Transaction } from "./client.js";
import { InvalidProof } from "./errors.js";
import { isObject, type Json, number, objectIn, text } from "./json.js";
import { fetchJwks, type Jwks, KeySet } from "./keyset.js";
import { reticent } from "./results.js";
import type { Fetch } from "./transport.js";

/** What the service has signed: who holds this number said so, for this purpose. */
export interface Proof {
  /** Keep it until `expiresAt` and take no second proof with it. */
  readonly verificationId: string;
  /** E.164; `console.log` leaves it out. */
  readonly number: string;
  readonly purpose: string;
  /** Five minutes from the approval. */
  readonly expiresAt: Date;
}

/** What a verifier can be made with. */
export interface ProofVerifierOptions {
  /** The service's public keys; nothing is ever fetched then. */
  readonly jwks?: Jwks | undefined;
  /** Also take proofs that a test key got, which prove nothing. */
  readonly acceptTest?: boolean | undefined;
  readonly fetch?: Fetch | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

/** What a proof must be of. */
export interface ProofExpectation {
  /** The start's. */
  readonly purpose: string;
  /** The start's; a proof of another, or of any when none is given, is refused. */
  readonly transaction?: Transaction | undefined;
}

/** Verifies proofs for one app; keep one, it keeps the keys. */
export class ProofVerifier {
  readonly #issuer: string;
  readonly #audience: string;
  readonly #acceptTest: boolean;
  readonly #now: () => number;
  readonly #keys: KeySet;

  /**
   * @param issuer The service's public URL.
   * @param audience The app's name in the service's configuration: a proof for another app is none.
   * @throws {TypeError} The issuer is no base URL.
   */
  constructor(issuer: string, audience: string, options: ProofVerifierOptions = {}) {
    this.#issuer = requireBaseUrl(issuer);
    this.#audience = audience;
    this.#acceptTest = options.acceptTest ?? false;
    this.#now = options.now ?? Date.now;
    const { jwks } = options;
    const load = jwks ? async () => jwks : () => fetchJwks(this.#issuer, options.fetch ?? fetch);
    this.#keys = new KeySet(load, this.#now);
  }

  /**
   * What a proof says, if it is one of what is expected.
   *
   * @throws {InvalidProof} It is not, or no longer.
   * @throws {ConnectionFailed | UnexpectedAnswer} The keys could not be had.
   */
  async verify(proof: string, expected: ProofExpectation): Promise<Proof> {
    const claims = await this.#signedClaims(proof);
    const rules: readonly [boolean, string][] = [
      [String(claims.iss).replace(/\/+$/, "") === this.#issuer, "another issuer's"],
      [claims.aud === this.#audience, "for another app"],
      [typeof claims.exp === "number" && claims.exp * 1_000 > this.#now(), "expired"],
      [claims.purpose === expected.purpose, "for another purpose"],
      [isSame(claims.transaction, expected.transaction), "of another transaction"],
      [claims.test !== true || this.#acceptTest, "made with a test key"],
    ];
    for (const [holds, otherwise] of rules) if (!holds) throw new InvalidProof(otherwise);
    try {
      return read(claims);
    } catch {
      throw new InvalidProof("lacks a claim");
    }
  }

  async #signedClaims(proof: string): Promise<Json> {
    const [, signed, header, payload, signature] = /^(([\w-]+)\.([\w-]+))\.([\w-]+)$/.exec(proof) ?? [];
    if (!signed || !header || !payload || !signature) throw new InvalidProof("no JWT");
    const { alg, kid, crit } = objectIn(textIn(header));
    if (alg !== "EdDSA" || typeof kid !== "string" || crit !== undefined) {
      throw new InvalidProof("not EdDSA with a kid");
    }
    if (!(await this.#keys.signed(kid, signed, signature))) throw new InvalidProof("not signed by the service");
    return objectIn(textIn(payload));
  }
}

function read(claims: Json): Proof {
  const proof = {
    verificationId: text(claims, "jti"),
    number: text(claims, "sub"),
    purpose: text(claims, "purpose"),
    expiresAt: new Date(number(claims, "exp") * 1_000),
  };
  return reticent(proof, "number");
}

function isSame(found: unknown, expected: Transaction | undefined): boolean {
  if (!isObject(found) || !expected) return found === undefined && !expected;
  return found.payee === expected.payee && found.amount === expected.amount;
}
