/* For pages: talks to your own back end, which holds the API key. */

/** What a request can be given. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Yours, for headers such as a CSRF token. */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
}

/** Your back end answered with another status than 2xx. */
export class RequestFailed extends Error {
  static { this.prototype.name = "RequestFailed"; }
  readonly status: number;
  /** The JSON that it sent; null if none. */
  readonly body: unknown;

  constructor(status: number, body: unknown) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}

/**
 * Asks your back end to send a code.
 *
 * @param url Your own route, such as `/verification/start`.
 * @param fields What it takes, such as `{ to: "+37256789045" }`.
 * @throws {RequestFailed} It refused.
 */
export function startVerification<T = unknown>(url: string, fields: object, options?: RequestOptions): Promise<T> {
  return postJson(url, fields, options);
}

/**
 * Hands your back end the code that the person typed.
 *
 * @param url Your own route, such as `/verification/check`.
 * @param fields What it takes, such as `{ code: "123456" }`.
 * @throws {RequestFailed} It refused.
 */
export function checkVerification<T = { approved: boolean }>(
  url: string,
  fields: object,
  options?: RequestOptions,
): Promise<T> {
  return postJson(url, fields, options);
}

async function postJson<T>(url: string, fields: object, options: RequestOptions = {}): Promise<T> {
  const { fetch = globalThis.fetch, signal = null } = options;
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(fields),
    credentials: "same-origin",
    signal,
  });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new RequestFailed(response.status, body);
  return body as T;
}
