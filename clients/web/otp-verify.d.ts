/** Texts by name; `{to}`, `{count}` and `{in}` ("in 30 seconds") are put in. */
export interface Strings {
  phone: string;
  country: string;
  send: string;
  sent: string;
  code: string;
  verify: string;
  resend: string;
  wait: string;
  edit: string;
  verified: string;
  wrong_code: string;
  invalid_number: string;
  invalid_code_format: string;
  undeliverable: string;
  throttled: string;
  expired: string;
  max_attempts_reached: string;
  delivery_failed: string;
  offline: string;
  error: string;
}

/** What the back end answers to a start, a resend and a check. */
export interface Answer {
  status: "pending" | "approved" | "canceled" | "expired" | "max_attempts_reached" | "failed";
  /** Seconds until another code may be asked for; 0 when left out. */
  next_send_in?: number;
  /** 0 hides the button for another code. */
  sends_left?: number;
  checks_left?: number;
  /** The number as it may be shown, such as `+372*****045`; what was typed when left out. */
  to_masked?: string;
}

/** What went wrong: the back end's own answer, or one of `wrong_code`, `offline` and `error`. */
export interface Failure {
  code: string;
  detail?: string;
  /** Seconds. */
  retry_after?: number;
  verification_status?: Answer["status"];
  checks_left?: number;
  /** Of the HTTP answer. */
  status?: number;
}

/**
 * `<otp-verify start-url check-url resend-url>`, with `number-known` where the back end has the number on file.
 * README.md has all attributes, parts and variables.
 */
export class OtpVerify extends HTMLElement {
  static readonly formAssociated: true;
  /** Texts in place of the built-in ones. */
  strings: Partial<Strings>;
}

export const ENGLISH: Readonly<Strings>;
/** Tags of the other built-in languages, in lower case. */
export const LANGUAGES: readonly string[];
/** Calling codes by ISO 3166 alpha-2. */
export const CALLING_CODES: ReadonlyMap<string, string>;

declare global {
  interface HTMLElementTagNameMap {
    "otp-verify": OtpVerify;
  }
  interface HTMLElementEventMap {
    /** Bubbles; cancel it to stay on the page in spite of `verified-url`. */
    "otp-verified": CustomEvent<Answer>;
    "otp-error": CustomEvent<Failure>;
  }
}
