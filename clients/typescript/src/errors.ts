/*
 * What a call can throw.
 *
 * OtpError
 * ├── APIError               the service said no; one whose code this version does not know is just this
 * │   ├── InvalidRequest     400, 413, 415, 422  what was sent is not what the call takes
 * │   ├── Unauthenticated    401  no key, an unknown or a revoked one
 * │   ├── Forbidden          403  the key lacks the scope
 * │   ├── Blocked            403  a rule refused to send
 * │   ├── NotFound           404  no such verification, or another app's
 * │   ├── Conflict           409, 422  the idempotency key is at work, or served another request
 * │   ├── Closed             410  the verification is no longer pending
 * │   ├── Undeliverable      422  nobody can reach this number
 * │   ├── Throttled          429  not yet
 * │   ├── DeliveryFailed     502  no provider took the message
 * │   └── Unavailable        503  nothing was sent, nothing counted
 * ├── ConnectionFailed       no answer; whether the service acted is unknown
 * │   └── TimedOut
 * ├── UnexpectedAnswer       an answer, but not the service's
 * ├── InvalidProof           not a proof of the service, or not for this
 * └── InvalidWebhook         not an event of the service, or not now
 *
 * Names are on the prototypes: a stack is written before a field could be, and a minifier renames classes.
 */

/** Whatever is thrown about the service, the way to it, or what claims to come from it; null is what was not told. */
export class OtpError extends Error {
  static { this.prototype.name = "OtpError"; }
  /** The contract's stable word for what went wrong; null unless the service answered. */
  readonly code: string | null = null;
  /** HTTP status of the answer. */
  readonly status: number | null = null;
  /** What finds the request in the service's log. */
  readonly requestId: string | null = null;
  /** Whole seconds until another try can succeed. */
  readonly retryAfter: number | null = null;
}

/** One fault in the body: a JSON pointer to the field, and what is wrong with it. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** A problem document, as far as it could be read. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  /** What happened and what to do next, for people. */
  readonly detail: string;
  readonly requestId: string | null;
  readonly retryAfter: number | null;
  /** The rule or budget that refused. */
  readonly reason: string | null;
  /** Faults in the body. */
  readonly errors: readonly FieldError[];
  /** Why the verification is no longer pending. */
  readonly verificationStatus: string | null;
  /** The verification that was opened before this went wrong. */
  readonly verificationId: string | null;
}

/** The service refused, in the words of its contract. */
export class APIError extends OtpError implements Problem {
  static { this.prototype.name = "APIError"; }
  override readonly code: string;
  override readonly status: number;
  override readonly requestId: string | null;
  override readonly retryAfter: number | null;
  readonly detail: string;
  readonly reason: string | null;
  readonly errors: readonly FieldError[];
  readonly verificationStatus: string | null;
  readonly verificationId: string | null;

  constructor(problem: Problem) {
    super(told(problem));
    this.code = problem.code;
    this.status = problem.status;
    this.requestId = problem.requestId;
    this.retryAfter = problem.retryAfter;
    this.detail = problem.detail;
    this.reason = problem.reason;
    this.errors = problem.errors;
    this.verificationStatus = problem.verificationStatus;
    this.verificationId = problem.verificationId;
  }
}

function told({ status, code, reason, detail, errors, requestId }: Problem): string {
  const faults = errors.map((fault) => `; ${fault.pointer}: ${fault.detail}`).join("");
  const request = requestId ? ` [request ${requestId}]` : "";
  return `${status} ${code}${reason ? ` (${reason})` : ""}: ${detail}${faults}${request}`;
}

/** What was sent is not what the call takes; `errors` points at each fault. */
export class InvalidRequest extends APIError {
  static { this.prototype.name = "InvalidRequest"; }
}

/** No key, an unknown key or a revoked key. */
export class Unauthenticated extends APIError {
  static { this.prototype.name = "Unauthenticated"; }
}

/** The key lacks the scope that this call needs. */
export class Forbidden extends APIError {
  static { this.prototype.name = "Forbidden"; }
}

/** A rule or a provider refused to send, `reason` says which; nothing was charged. */
export class Blocked extends APIError {
  static { this.prototype.name = "Blocked"; }
}

/** An unknown id, or another app's. */
export class NotFound extends APIError {
  static { this.prototype.name = "NotFound"; }
}

/** The idempotency key belongs to a request still at work, or to a different one. */
export class Conflict extends APIError {
  static { this.prototype.name = "Conflict"; }
}

/** The verification is no longer pending; `verificationStatus` says why. */
export class Closed extends APIError {
  static { this.prototype.name = "Closed"; }
}

/** A provider says that nobody can reach this number. */
export class Undeliverable extends APIError {
  static { this.prototype.name = "Undeliverable"; }
}

/** Too soon or too often, `reason` says which; `retryAfter` is the wait to show the person. */
export class Throttled extends APIError {
  static { this.prototype.name = "Throttled"; }
}

/** No provider took the message; start again for another try. */
export class DeliveryFailed extends APIError {
  static { this.prototype.name = "DeliveryFailed"; }
}

/** The service cannot decide right now; nothing was sent and nothing counted. */
export class Unavailable extends APIError {
  static { this.prototype.name = "Unavailable"; }
}

/** No answer; repeating the call with the same `idempotencyKey` is safe and finds the first one's. */
export class ConnectionFailed extends OtpError {
  static { this.prototype.name = "ConnectionFailed"; }
}

/** No answer in time. */
export class TimedOut extends ConnectionFailed {
  static { this.prototype.name = "TimedOut"; }
}

/** An answer that is not the service's: mostly a proxy's page or a wrong `baseUrl`. */
export class UnexpectedAnswer extends OtpError {
  static { this.prototype.name = "UnexpectedAnswer"; }
  override readonly status: number;
  override readonly requestId: string | null;
  override readonly retryAfter: number | null;

  constructor(status: number, requestId: string | null = null, retryAfter: number | null = null) {
    super(`HTTP ${status} that OTP Service did not write; is baseUrl right, or a proxy in between?`);
    this.status = status;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/** No proof of the service, or not of what it should prove; the message says which rule it broke. */
export class InvalidProof extends OtpError {
  static { this.prototype.name = "InvalidProof"; }
}

/** A webhook request that the service did not sign, or not now. */
export class InvalidWebhook extends OtpError {
  static { this.prototype.name = "InvalidWebhook"; }
}

/** A Map, because an object would find `constructor` too. */
export const BY_CODE: ReadonlyMap<string, typeof APIError> = new Map([
  ["malformed_json", InvalidRequest],
  ["payload_too_large", InvalidRequest],
  ["unsupported_media_type", InvalidRequest],
  ["invalid_request", InvalidRequest],
  ["invalid_number", InvalidRequest],
  ["invalid_code_format", InvalidRequest],
  ["unsupported_channel", InvalidRequest],
  ["unauthenticated", Unauthenticated],
  ["forbidden", Forbidden],
  ["blocked", Blocked],
  ["verification_not_found", NotFound],
  ["idempotency_in_progress", Conflict],
  ["idempotency_mismatch", Conflict],
  ["verification_closed", Closed],
  ["undeliverable", Undeliverable],
  ["throttled", Throttled],
  ["delivery_failed", DeliveryFailed],
  ["store_unavailable", Unavailable],
  ["overloaded", Unavailable],
]);
