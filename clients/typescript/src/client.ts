/* The client: it sends and it sleeps, the rest is decided elsewhere. */

import { type Call, get, headersFor, pathOf, post, requireBaseUrl, resultOf } from "./call.js";
import type { Json } from "./json.js";
import { type Check, readCheck, readVerification, type Verification } from "./results.js";
import { waitMs } from "./retries.js";
import { type Fetch, send, sleep } from "./transport.js";

// The service gives a start 8 s before it answers; the rest is the way there and back.
const DEFAULT_TIMEOUT_MS = 12_000;
const DEFAULT_MAX_RETRIES = 2;

/** What a client can be made with. */
export interface ClientOptions {
  /** Milliseconds for one try, from connecting to the last byte; 12,000 if not given. */
  readonly timeoutMs?: number | undefined;
  /** Tries after the first, where another try can help; 2 if not given. */
  readonly maxRetries?: number | undefined;
  /** Yours, for proxies, certificates or pools. */
  readonly fetch?: Fetch | undefined;
  /** Waits so many milliseconds, or throws the signal's reason. */
  readonly sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
  /** Draws the jitter, from 0 up to 1. */
  readonly random?: (() => number) | undefined;
}

/** What every call can be given. */
export interface CallOptions {
  /** Milliseconds for one try; the client's if not given. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call, its retries and its waits, which then throw the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What every call that acts can be given. */
export interface ActOptions extends CallOptions {
  /** 1 to 255 visible ASCII characters; random if not given. */
  readonly idempotencyKey?: string | undefined;
}

/** What lets the phone fill in the code: the site's host, or the Android app's 11-character hash. */
export type Autofill = { readonly web: string } | { readonly android: string };

/** What the code approves; the message shows it and the check must repeat it (PSD2 dynamic linking). */
export interface Transaction {
  readonly payee: string;
  readonly amount: string;
}

/** The person's address and session, for abuse limits; never those of the calling server. */
export interface EndUser {
  readonly ip?: string | undefined;
  readonly session?: string | undefined;
}

/** What a start can be given besides the number. */
export interface StartOptions extends ActOptions {
  /** ISO 3166 alpha-2, such as `EE`, for a national number. */
  readonly region?: string | undefined;
  /** How the code travels; the service's default if not given. */
  readonly channel?: string | undefined;
  /** What the code is for, 1 to 64 of `a-z0-9_.-`; `verify` if not given. */
  readonly purpose?: string | undefined;
  /** Language of the message, such as `et`. */
  readonly locale?: string | undefined;
  readonly autofill?: Autofill | undefined;
  readonly transaction?: Transaction | undefined;
  readonly client?: EndUser | undefined;
  /** Up to 10 pairs, 40 and 200 characters, for your webhooks. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** What a check can be given besides the code. */
export interface CheckOptions extends ActOptions {
  /** The start's. */
  readonly purpose?: string | undefined;
  /** The start's. */
  readonly transaction?: Transaction | undefined;
}

/** What calls are given by position. */
type Given = { readonly to?: string; readonly code?: string };

/**
 * The service, for code on a server; one for the whole process.
 *
 * An id or an `idempotencyKey` that cannot be sent is a TypeError, before anything is.
 */
export class Client {
  readonly #baseUrl: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;
  readonly #fetch: Fetch;
  readonly #sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly #random: () => number;

  /**
   * @param baseUrl Where the service is, such as `https://otp.example.com`.
   * @param apiKey `otp_live_…` or `otp_test_…`.
   * @throws {TypeError} One of them cannot be what it should, or this is a browser; the text repeats neither.
   */
  constructor(baseUrl: string, apiKey: string, options: ClientOptions = {}) {
    // For pages without a bundler; with one, the package's exports lead to server-only.ts.
    if ("document" in globalThis) throw new TypeError("otp-service-client would show the API key: see otp-service-client/browser");
    this.#baseUrl = requireBaseUrl(baseUrl);
    this.#headers = headersFor(apiKey);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#maxRetries = options.maxRetries ?? DEFAULT_MAX_RETRIES;
    this.#fetch = options.fetch ?? fetch;
    this.#sleep = options.sleep ?? sleep;
    this.#random = options.random ?? Math.random;
  }

  /**
   * Sends a code.
   *
   * @param to The number in E.164, or a national one with `region`.
   * @throws {InvalidRequest | Undeliverable} The number, or something else that was sent, is no good.
   * @throws {Blocked | Throttled} The service would not pay for this send, or not yet.
   * @throws {DeliveryFailed} No provider took the message.
   * @throws {OtpError} Anything else.
   */
  async start(to: string, options: StartOptions = {}): Promise<Verification> {
    return this.#post("/v1/verifications/start", { ...options, to }, readVerification);
  }

  /**
   * Sends a new code; earlier ones stay good.
   *
   * @throws {Closed | NotFound} There is nothing to resend.
   * @throws {Throttled} Too soon, or too many.
   * @throws {OtpError} Anything else.
   */
  async resend(id: string, options: ActOptions = {}): Promise<Verification> {
    return this.#post(pathOf(id, "/resend"), options, readVerification);
  }

  /**
   * Spends one guess; a wrong code is a result, not an error.
   *
   * @param code What the person typed; spaces and dashes do no harm.
   * @throws {InvalidRequest} This cannot be a code; no guess was spent.
   * @throws {Closed | NotFound} There is nothing left to check.
   * @throws {OtpError} Anything else.
   */
  async check(id: string, code: string, options: CheckOptions = {}): Promise<Check> {
    return this.#post(pathOf(id, "/check"), { ...options, code }, readCheck);
  }

  /**
   * Closes the verification; its codes are dead.
   *
   * @throws {Closed | NotFound} There is nothing to cancel.
   * @throws {OtpError} Anything else.
   */
  async cancel(id: string, options: ActOptions = {}): Promise<Verification> {
    return this.#post(pathOf(id, "/cancel"), options, readVerification);
  }

  /**
   * The verification as it stands, with its deliveries.
   *
   * @throws {NotFound} An unknown id, or another app's.
   * @throws {OtpError} Anything else.
   */
  async fetch(id: string, options: CallOptions = {}): Promise<Verification> {
    return this.#run(get(pathOf(id), readVerification), options);
  }

  #post<T>(path: string, options: ActOptions & Given, read: (data: Json) => T): Promise<T> {
    const { idempotencyKey, timeoutMs, signal, ...fields } = options;
    return this.#run(post(path, fields, read, idempotencyKey), { timeoutMs, signal });
  }

  async #run<T>(call: Call<T>, options: CallOptions): Promise<T> {
    for (let done = 0; ; done += 1) {
      try {
        return await this.#try(call, options);
      } catch (error) {
        const wait = done < this.#maxRetries ? waitMs(error, done, this.#random()) : null;
        if (wait === null) throw error;
        await this.#sleep(wait, options.signal);
      }
    }
  }

  async #try<T>(call: Call<T>, options: CallOptions): Promise<T> {
    const init = { method: call.method, headers: { ...this.#headers, ...call.headers }, body: call.body };
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    return resultOf(call, await send(this.#fetch, this.#baseUrl + call.path, init, timeoutMs, options.signal));
  }
}
