/* One request and its whole answer, within a time and until somebody aborts. */

import { ConnectionFailed, TimedOut } from "./errors.js";

/** `fetch`, or what does as it does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * Sends, and reads to the end; redirects are answers.
 *
 * @param timeoutMs Milliseconds for all of it.
 * @throws {TimedOut} No answer in time.
 * @throws {ConnectionFailed} No answer.
 * @throws The signal's reason, when it aborts.
 */
export async function send(
  fetch: Fetch,
  url: string,
  init: RequestInit,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Answer> {
  signal?.throwIfAborted();
  // Not AbortSignal.any and .timeout: Node may collect what they made before it fires (nodejs/node#57736).
  const ended = new AbortController();
  const abort = (): void => ended.abort(signal?.reason);
  const timer = setTimeout(() => ended.abort(new TimedOut(`no answer within ${timeoutMs} ms`)), timeoutMs);
  signal?.addEventListener("abort", abort);
  try {
    const response = await fetch(url, { ...init, redirect: "manual", signal: ended.signal });
    return { status: response.status, headers: response.headers, text: await response.text() };
  } catch (error) {
    if (ended.signal.aborted) throw ended.signal.reason;
    throw new ConnectionFailed(`no answer (${said(error)})`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Waits.
 *
 * @throws The signal's reason, when it aborts.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** What fetch threw, and why: Node says only "fetch failed" itself. */
function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${said(error.cause)}` : error.message;
}
