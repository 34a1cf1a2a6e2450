/* A service that plays back answers, for tests. */

import { Client } from "otp-service-client";

export const BASE_URL = "https://otp.example.com";
export const API_KEY = "otp_test_k1_correcthorsebatterystaple";
export const DOWN = { error: "connect" };
export const PENDING = {
  status: 201,
  body: {
    id: "vrf_7",
    status: "pending",
    to: "+37256789045",
    channel: "sms",
    purpose: "verify",
    created_at: "2026-11-20T10:00:00Z",
    expires_at: "2026-11-20T10:10:00Z",
    expires_in: 600,
  },
};

/** Gives its answers in order, and keeps what it was asked. */
export class Service {
  requests = [];

  /** @param onSilence Called where an answer never comes. */
  constructor(answers, onSilence = () => {}) {
    this.answers = answers;
    this.onSilence = onSilence;
  }

  fetch = async (url, init) => {
    const answer = this.answers[this.requests.length];
    this.requests.push({ ...init, url, headers: new Headers(init.headers) });
    if (answer.error === "connect") throw new TypeError("fetch failed", { cause: new Error("refused") });
    if (answer.error === "timeout") return this.#silence(init.signal);
    const empty = answer.status === 204;
    const body = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    return new Response(empty ? null : body, { status: answer.status, headers: answer.headers });
  };

  get keys() {
    return this.requests.map((request) => request.headers.get("Idempotency-Key"));
  }

  #silence(signal) {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      this.onSilence();
    });
  }
}

/** A client of a service that gives these answers; it never waits. */
export function serve(answers, { baseUrl = BASE_URL, onSilence, ...options } = {}) {
  const service = new Service(answers, onSilence);
  const waits = [];
  const sleep = async (ms) => void waits.push(ms);
  const client = new Client(baseUrl, API_KEY, { fetch: service.fetch, sleep, ...options });
  return { client, service, waits };
}
