/* What a type checker must see; `tsc --project tests` reads it, nobody runs it. */

import {
  type ActOptions,
  type APIError,
  type Autofill,
  type CallOptions,
  type Check,
  type CheckOptions,
  Client,
  type ClientOptions,
  Closed,
  type Delivery,
  type EndUser,
  type Fetch,
  type FieldError,
  type Jwks,
  OtpError,
  type Problem,
  type Proof,
  type ProofExpectation,
  ProofVerifier,
  type ProofVerifierOptions,
  type StartOptions,
  type Transaction,
  unwrap,
  type UnwrapOptions,
  type Verification,
  type WebhookEvent,
  type WebhookHeaders,
} from "otp-service-client";
import { checkVerification, type RequestOptions, startVerification } from "otp-service-client/browser";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

declare const client: Client;
declare const verification: Verification;
declare const error: unknown;

export async function results(): Promise<void> {
  const started = await client.start("+37256789045", { transaction: { payee: "ACME", amount: "12.00 EUR" } });
  same<typeof started, Verification>(true);
  same<typeof started.expiresAt, Date>(true);
  same<typeof started.checksLeft, number | null>(true);
  same<typeof started.deliveries, readonly Delivery[]>(true);
  same<ReturnType<Client["resend"]>, Promise<Verification>>(true);
  same<ReturnType<Client["check"]>, Promise<Check>>(true);
  same<ReturnType<Client["cancel"]>, Promise<Verification>>(true);
  same<ReturnType<Client["fetch"]>, Promise<Verification>>(true);
  same<Check["proof"], string | null>(true);
  same<Check["number"], string | null>(true);
}

export function options(signal: AbortSignal, ip: string | undefined): void {
  const client: EndUser = { ip };
  const autofill: Autofill = { web: "example.com" };
  const call: CallOptions = { signal, timeoutMs: 1_500 };
  const act: ActOptions = { ...call, idempotencyKey: "order-42" };
  const start: StartOptions = { ...act, client, autofill, metadata: { order: "42" }, region: undefined };
  const check: CheckOptions = { ...act, purpose: "login" };
  const made: ClientOptions = { fetch, random: Math.random, sleep: async () => {}, maxRetries: 0 };
  const like: Fetch = fetch;
}

export function errors(api: APIError): void {
  same<typeof api.code, string>(true);
  same<typeof api.status, number>(true);
  same<typeof api.requestId, string | null>(true);
  same<typeof api.retryAfter, number | null>(true);
  same<typeof api.errors, readonly FieldError[]>(true);
  const problem: Problem = api;
  if (error instanceof Closed) same<typeof error.verificationStatus, string | null>(true);
  if (error instanceof OtpError) same<typeof error.code, string | null>(true);
}

export async function proofs(jwks: Jwks, transaction: Transaction): Promise<void> {
  const options: ProofVerifierOptions = { jwks, acceptTest: true, now: Date.now };
  const expected: ProofExpectation = { purpose: "login", transaction };
  const proof = await new ProofVerifier("https://otp.example.com", "web", options).verify("a.b.c", expected);
  same<typeof proof, Proof>(true);
  same<typeof proof.expiresAt, Date>(true);
}

export async function webhooks(headers: WebhookHeaders, options: UnwrapOptions): Promise<void> {
  const event = await unwrap(new Uint8Array(), headers, "whsec_", options);
  same<typeof event, WebhookEvent>(true);
  await unwrap("", new Headers(), "whsec_");
}

export async function pages(options: RequestOptions): Promise<void> {
  const started = await startVerification("/start", { to: "+37256789045" });
  same<typeof started, unknown>(true);
  const check = await checkVerification("/check", { code: "123456" }, options);
  same<typeof check.approved, boolean>(true);
}

export async function refused(): Promise<void> {
  // @ts-expect-error a number to send to is needed
  await client.start();
  // @ts-expect-error the number is text
  await client.start(37256789045);
  // @ts-expect-error options go by name
  await client.start("+37256789045", "EE");
  // @ts-expect-error a transaction has an amount
  await client.start("+37256789045", { transaction: { payee: "ACME" } });
  // @ts-expect-error the contract calls it ip
  await client.start("+37256789045", { client: { address: "203.0.113.9" } });
  // @ts-expect-error names are in camelCase
  await client.start("+37256789045", { idempotency_key: "order-42" });
  // @ts-expect-error a fetch acts only once by itself
  await client.fetch("vrf_7", { idempotencyKey: "order-42" });
  // @ts-expect-error results are frozen
  verification.status = "approved";
  // @ts-expect-error results are frozen
  verification.metadata.order = "43";
  // @ts-expect-error a proof is of a purpose
  await new ProofVerifier("https://otp.example.com", "web").verify("a.b.c");
  // @ts-expect-error a key is needed
  new Client("https://otp.example.com");
}
