/* What the service tells an app: signed as https://www.standardwebhooks.com says. */

import { bytesIn } from "./base64.js";
import { InvalidWebhook } from "./errors.js";
import { isObject, objectIn, text, time } from "./json.js";

/** Age, into the future too: what the libraries of Standard Webhooks allow. */
const TOLERANCE_SECONDS = 300;

/** Of a Request, or of Node's own message. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** Something that happened to a verification. */
export interface WebhookEvent {
  /** The same however often the event is delivered; drop an event whose id you know. */
  readonly id: string;
  /** What happened, such as `verification.approved`; may grow. */
  readonly type: string;
  readonly timestamp: Date;
  /** What the event is about, by the members that its type has. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** What `unwrap` can be given. */
export interface UnwrapOptions {
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

/**
 * The event in a webhook request, once its signature has shown that the service sent it.
 *
 * @param body As it came; one that was parsed and written again has another signature.
 * @param secret `whsec_…`, the app's in the service's configuration.
 * @throws {InvalidWebhook} The service did not send this, not now, or not as an event: answer 400.
 * @throws {TypeError} The secret cannot be one.
 */
export async function unwrap(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string,
  { now = Date.now }: UnwrapOptions = {},
): Promise<WebhookEvent> {
  const content = typeof body === "string" ? body : new TextDecoder("utf-8", { ignoreBOM: true }).decode(body);
  const [id, timestamp, signatures] = signatureHeaders(headers);
  if (!(await isSigned(`${id}.${timestamp}.${content}`, signatures.split(" "), secret))) {
    throw new InvalidWebhook("the signature is missing or not the service's");
  }
  if (!/^\d+$/.test(timestamp) || Math.abs(now() / 1_000 - Number(timestamp)) > TOLERANCE_SECONDS) {
    throw new InvalidWebhook("the timestamp is too far from now");
  }
  return eventIn(content, id);
}

function eventIn(content: string, id: string): WebhookEvent {
  const { data, ...event } = objectIn(content);
  try {
    if (!isObject(data)) throw new TypeError("data is no object");
    return Object.freeze({ id, type: text(event, "type"), timestamp: time(event, "timestamp"), data });
  } catch {
    throw new InvalidWebhook("the body is not an event");
  }
}

/** Whether one of the signatures is ours: there are several while a secret is being changed. */
async function isSigned(signed: string, signatures: readonly string[], secret: string): Promise<boolean> {
  const key = await keyOf(secret);
  const data = new TextEncoder().encode(signed);
  for (const each of signatures) {
    const given = signatureIn(each);
    // WebCrypto compares in constant time, which `===` on two texts does not.
    if (given && (await crypto.subtle.verify("HMAC", key, given, data))) return true;
  }
  return false;
}

async function keyOf(secret: string): Promise<CryptoKey> {
  const [, base64 = ""] = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const bytes = bytesIn(base64);
  if (bytes.length === 0) throw new TypeError("secret must be whsec_ and base64");
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function signatureIn(text: string): Uint8Array<ArrayBuffer> | null {
  const [, base64] = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(text) ?? [];
  return base64 ? bytesIn(base64) : null;
}

/** Id, timestamp and signatures: empty where missing, their names in any case. */
function signatureHeaders(headers: WebhookHeaders): [string, string, string] {
  const pairs = Symbol.iterator in headers ? [...(headers as Headers)] : Object.entries(headers);
  const given = new Map(pairs.map(([name, value]) => [name.toLowerCase(), String(value ?? "")]));
  const value = (part: string): string => given.get(`webhook-${part}`) ?? "";
  return [value("id"), value("timestamp"), value("signature")];
}
