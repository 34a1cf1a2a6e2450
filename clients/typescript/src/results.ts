/* What a call returns. Fields that this version does not know are ignored. */

import { textIn } from "./base64.js";
import { type Json, isObject, number, numberOrNull, objectIn, objectsIn, text, textOrNull, time } from "./json.js";

/** One provider's answer to one send. */
export interface Delivery {
  /** The provider's name in the service's configuration. */
  readonly provider: string;
  /** `accepted`, `undeliverable`, `blocked`, `unavailable` or `unknown`; may grow. */
  readonly outcome: string;
  /** The provider's own code, empty when it gave none. */
  readonly reason: string;
  /** Message parts that the provider charges for. */
  readonly segments: number;
  /** Milliseconds until the provider answered. */
  readonly latencyMs: number;
  /** When it was tried. */
  readonly at: Date;
  /** What the provider reported later; null before that. */
  readonly receipt: string | null;
}

/** One proof that a person holds a number. */
export interface Verification {
  /** `vrf_…`, to be kept with the person's session. */
  readonly id: string;
  /** `pending`, `approved`, `canceled`, `expired`, `max_attempts_reached` or `failed`; may grow. */
  readonly status: string;
  /** The number in E.164; `console.log` leaves it out. */
  readonly to: string;
  /** How the code travels, such as `sms`. */
  readonly channel: string;
  /** What the code is for; a check must name the same. */
  readonly purpose: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** Seconds until then, by the service's clock. */
  readonly expiresIn: number;
  /** Guesses left; null once closed. */
  readonly checksLeft: number | null;
  /** Resends left; null once closed. */
  readonly sendsLeft: number | null;
  /** Seconds until a resend is allowed; null once closed. */
  readonly nextSendIn: number | null;
  /** Every provider's answer, oldest first. */
  readonly deliveries: readonly Delivery[];
  /** What the start was given; `console.log` leaves it out. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What became of one guess. The object itself is always truthy: ask for `approved`. */
export interface Check {
  /** The verification's. */
  readonly id: string;
  /** The verification's, after this guess. */
  readonly status: string;
  /** Whether the person holds the number. */
  readonly approved: boolean;
  /** Guesses left. */
  readonly checksLeft: number;
  /** A signed JWT that another back end can verify offline; null for a wrong guess; `console.log` leaves it out. */
  readonly proof: string | null;
  /** The number that the proof names, in E.164; null for a wrong guess; `console.log` leaves it out. */
  readonly number: string | null;
}

/**
 * The verification in an answer.
 *
 * @throws {TypeError} The answer is not a verification.
 */
export function readVerification(data: Json): Verification {
  const verification = {
    id: text(data, "id"),
    status: text(data, "status"),
    to: text(data, "to"),
    channel: text(data, "channel"),
    purpose: text(data, "purpose"),
    createdAt: time(data, "created_at"),
    expiresAt: time(data, "expires_at"),
    expiresIn: number(data, "expires_in"),
    checksLeft: numberOrNull(data, "checks_left"),
    sendsLeft: numberOrNull(data, "sends_left"),
    nextSendIn: numberOrNull(data, "next_send_in"),
    deliveries: Object.freeze(objectsIn(data, "deliveries").map(readDelivery)),
    metadata: Object.freeze(isObject(data.metadata) ? (data.metadata as Record<string, string>) : {}),
  };
  return reticent(verification, "to", "metadata");
}

/**
 * The check in an answer; only JSON's own true is an approval.
 *
 * @throws {TypeError} The answer is not a check.
 */
export function readCheck(data: Json): Check {
  if (typeof data.approved !== "boolean") throw new TypeError("approved is neither true nor false");
  const proof = textOrNull(data, "proof");
  const check = {
    id: text(data, "id"),
    status: text(data, "status"),
    approved: data.approved,
    checksLeft: number(data, "checks_left"),
    proof,
    // The signature is not looked at: the proof came straight from the service, in which case OpenID Connect Core 1.0,
    // 3.1.3.7, asks for no more of an ID token.
    number: data.approved && proof ? textOrNull(objectIn(textIn(proof.split(".")[1] ?? "")), "sub") : null,
  };
  return reticent(check, "proof", "number");
}

function readDelivery(data: Json): Delivery {
  return Object.freeze({
    provider: text(data, "provider"),
    outcome: text(data, "outcome"),
    reason: text(data, "reason"),
    segments: number(data, "segments"),
    latencyMs: number(data, "latency_ms"),
    at: time(data, "at"),
    receipt: textOrNull(data, "receipt"),
  });
}

/** The result, frozen, and with members that `console.log` does not show in Node, Deno and Bun. */
export function reticent<T extends object>(result: T, ...hidden: readonly (keyof T & string)[]): Readonly<T> {
  const shown = Object.fromEntries(Object.entries(result).filter(([name]) => !hidden.some((each) => each === name)));
  for (const symbol of ["nodejs.util.inspect.custom", "Deno.customInspect"]) {
    Object.defineProperty(result, Symbol.for(symbol), { value: () => shown });
  }
  return Object.freeze(result);
}
