/* The TypeScript client of OTP Service: prove that a person holds a phone number. */

export {
  type ActOptions,
  type Autofill,
  type CallOptions,
  type CheckOptions,
  Client,
  type ClientOptions,
  type EndUser,
  type StartOptions,
  type Transaction,
} from "./client.js";
export {
  APIError,
  Blocked,
  Closed,
  Conflict,
  ConnectionFailed,
  DeliveryFailed,
  type FieldError,
  Forbidden,
  InvalidProof,
  InvalidRequest,
  InvalidWebhook,
  NotFound,
  OtpError,
  type Problem,
  Throttled,
  TimedOut,
  Unauthenticated,
  Unavailable,
  Undeliverable,
  UnexpectedAnswer,
} from "./errors.js";
export type { Jwks } from "./keyset.js";
export { type Proof, type ProofExpectation, ProofVerifier, type ProofVerifierOptions } from "./proof.js";
export type { Check, Delivery, Verification } from "./results.js";
export type { Fetch } from "./transport.js";
export { version } from "./version.js";
export { unwrap, type UnwrapOptions, type WebhookEvent, type WebhookHeaders } from "./webhook.js";
