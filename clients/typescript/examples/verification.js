/*
 * The verification of a session, in any framework: each step takes the session, the posted form and the browser's
 * address, and gives the answer.
 *
 * The session keeps the id. A browser cannot name one, so it cannot claim a verification that another passed; and the
 * number is the one that the service proved, so nothing can be swapped between start and check.
 */

import { randomUUID } from "node:crypto";
import { Client, Closed, NotFound, OtpError } from "otp-service-client";
import { named } from "./accounts.js";

const otp = new Client(process.env.OTP_URL ?? "http://127.0.0.1:8000", process.env.OTP_API_KEY);

// What a person is told. An error that is not among these is the app's or the service's own affair.
const TOLD = new Map([
  ["malformed_json", "This cannot be read."],
  ["invalid_request", "This cannot be read."],
  ["payload_too_large", "This is too long."],
  ["invalid_number", "This is not a phone number."],
  ["invalid_code_format", "This cannot be a code."],
  ["blocked", "No code can be sent to this number."],
  ["undeliverable", "No code can be sent to this number."],
  ["verification_not_found", "Ask for a code first."],
  ["verification_closed", "This code no longer counts. Ask for a new one."],
  ["throttled", "Not yet. Try again in {wait} seconds."],
  ["delivery_failed", "The message could not be sent. Try again."],
  ["unavailable", "This does not work right now. Try again later."],
]);
const NONE = { status: 404, code: "verification_not_found" };

/** What a browser can ask for, by the last part of the address that it posts to. */
export const steps = { start: answering(start), resend: answering(resend), check: answering(check) };

async function start(session, { to, region, locale }, ip) {
  const { number } = named(session.name); // on file: the one to ask, whatever the browser says
  session.tag ??= randomUUID(); // tells the service's limits that it is the same browser, and opens nothing
  const client = { ip, session: session.tag };
  const verification = await otp.start(number ?? to, { purpose: session.purpose, region, locale, client });
  session.verification = verification.id;
  return { status: 201, body: shown(verification) };
}

async function resend(session) {
  return session.verification ? { status: 200, body: shown(await otp.resend(session.verification)) } : refused(NONE);
}

async function check(session, { code }) {
  if (!session.verification) return refused(NONE);
  const { purpose, verification } = session;
  const { approved, checksLeft, status, number } = await otp.check(verification, code, { purpose });
  if (status !== "pending") delete session.verification;
  if (approved && !isTheirs(number, named(session.name))) return refused(NONE);
  const notice = approved ? "" : `Wrong code. Attempts left: ${checksLeft}.`;
  return { status: 200, body: { approved, checks_left: checksLeft, status }, approved, notice };
}

/** The first number that is proved becomes the account's; from then on only that one counts. */
function isTheirs(number, account) {
  return number !== null && number === (account.number ??= number);
}

function shown({ status, nextSendIn, checksLeft, sendsLeft, expiresIn }) {
  return { status, next_send_in: nextSendIn, checks_left: checksLeft, sends_left: sendsLeft, expires_in: expiresIn };
}

function answering(step) {
  return async (session, form, ip) => {
    try {
      return await step(session, form, ip);
    } catch (error) {
      if (!(error instanceof OtpError)) throw error;
      if (error instanceof Closed || error instanceof NotFound) delete session.verification;
      if (TOLD.has(error.code)) return refused(error);
      console.error(`A verification failed: ${error}`);
      return refused({ status: 503, code: "unavailable", retryAfter: error.retryAfter });
    }
  };
}

function refused({ status, code, retryAfter, verificationStatus }) {
  const detail = TOLD.get(code).replace("{wait}", retryAfter ?? "some");
  const more = { retry_after: retryAfter ?? undefined, verification_status: verificationStatus ?? undefined };
  return { status, body: { code, detail, ...more }, notice: detail };
}
