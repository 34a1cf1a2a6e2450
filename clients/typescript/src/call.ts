/* One call of the contract: what to send, and how to read what comes back. Does no I/O. */

import { APIError, BY_CODE, type FieldError, UnexpectedAnswer } from "./errors.js";
import { type Json, objectIn, objectsIn, textOrNull } from "./json.js";
import type { Answer } from "./transport.js";
import { version } from "./version.js";

/** One request, the same bytes and key at each try, and the reader of its answer. */
export interface Call<T> {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly read: (data: Json) => T;
}

/** A call that changes nothing. */
export function get<T>(path: string, read: (data: Json) => T): Call<T> {
  return { method: "GET", path, headers: {}, body: null, read };
}

/**
 * A call that acts once, however often it is sent.
 *
 * @param fields Of the contract; those that are undefined stay out.
 * @param key The Idempotency-Key, 1 to 255 visible ASCII characters.
 * @throws {TypeError} The key has other characters or another length.
 */
export function post<T>(
  path: string,
  fields: Json,
  read: (data: Json) => T,
  key: string = crypto.randomUUID(),
): Call<T> {
  requireVisibleAscii("idempotencyKey", key);
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return { method: "POST", path, headers, body: JSON.stringify(fields), read };
}

/**
 * The path of one verification; whatever the id holds, it stays one segment.
 *
 * @throws {TypeError} The id is empty, a dot segment, which URLs drop, percent-encoded too, or has half a character.
 */
export function pathOf(id: string, verb = ""): string {
  if (typeof id !== "string" || /^\.{0,2}$|[\uD800-\uDFFF]/u.test(id)) {
    throw new TypeError("not the id of a verification");
  }
  return `/v1/verifications/${encodeURIComponent(id)}${verb}`;
}

/** Where the service is: `https://otp.example.com`, with a path if the service lives under one. */
export function requireBaseUrl(url: string): string {
  requireVisibleAscii("baseUrl", url);
  if (!/^https?:\/\/[^/?#@\\]+(\/[^?#\\]*)?$/i.test(url) || !URL.canParse(url)) {
    throw new TypeError("baseUrl must be http(s)://host, with a port and a path at most");
  }
  return url.replace(/\/+$/, "");
}

/** The headers of every try of every call. */
export function headersFor(apiKey: string): Readonly<Record<string, string>> {
  requireVisibleAscii("apiKey", apiKey);
  return {
    Authorization: `Bearer ${apiKey}`,
    Accept: "application/json",
    "User-Agent": `otp-client-typescript/${version}`,
  };
}

/**
 * What the service said.
 *
 * @throws {APIError} The service refused.
 * @throws {UnexpectedAnswer} The service did not write this.
 */
export function resultOf<T>(call: Call<T>, { status, headers, text }: Answer): T {
  let body = objectIn(text);
  if (status >= 200 && status < 300) {
    try {
      return call.read(body);
    } catch {
      body = {};
    }
  }
  const requestId = textOrNull(body, "request_id") ?? headers.get("X-Request-Id");
  const retryAfter = seconds(headers.get("Retry-After") ?? body.retry_after);
  const code = textOrNull(body, "code");
  if (code === null) throw new UnexpectedAnswer(status, requestId, retryAfter);
  throw new (BY_CODE.get(code) ?? APIError)({
    status,
    code,
    detail: textOrNull(body, "detail") ?? "",
    requestId,
    retryAfter,
    reason: textOrNull(body, "reason"),
    errors: objectsIn(body, "errors").map(fieldError),
    verificationStatus: textOrNull(body, "verification_status"),
    verificationId: textOrNull(body, "verification_id"),
  });
}

function fieldError(fault: Json): FieldError {
  return { pointer: textOrNull(fault, "pointer") ?? "", detail: textOrNull(fault, "detail") ?? "" };
}

function seconds(value: unknown): number | null {
  // Retry-After may also be a date (RFC 9110, 10.2.3); the service sends seconds, a date counts as none.
  return /^[0-9]{1,15}$/.test(String(value)) ? Number(value) : null;
}

/** The text repeats no value: it may be a key in the wrong place. */
function requireVisibleAscii(name: string, text: string): void {
  if (!/^[!-~]{1,255}$/.test(text)) throw new TypeError(`${name} must be 1 to 255 visible ASCII characters`);
}
