/* Which failures are worth another try, and how long to wait before it. */

import { ConnectionFailed, OtpError } from "./errors.js";

const BASE_MS = 500;
const CAP_MS = 8_000;

/**
 * Milliseconds before the next try: exponential backoff with full jitter on top of a Retry-After; null when the
 * error is final.
 *
 * Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param done Retries so far.
 * @param random From 0 up to 1.
 */
export function waitMs(error: unknown, done: number, random: number): number | null {
  if (!(error instanceof OtpError) || !mayPass(error)) return null;
  const floor = (error.retryAfter ?? 0) * 1_000;
  if (floor > CAP_MS) return null;
  // On top of the floor, so that those told the same number do not return together.
  return floor + random * Math.min(CAP_MS, BASE_MS * 2 ** done);
}

function mayPass(error: OtpError): boolean {
  // Not 429: a person is waiting, and the caller has something to tell them. Not 502: that answer is kept.
  const passing = error.status === 408 || error.status === 503 || error.code === "idempotency_in_progress";
  return passing || error instanceof ConnectionFailed;
}
