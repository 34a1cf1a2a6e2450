/*
 * Sign-up with a verified number, and login with a second factor, with Node alone.
 *
 * Run `otp-service dev`, then `OTP_API_KEY=otp_live_… npm start` here, and open http://127.0.0.1:8005.
 */

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import * as accounts from "../accounts.js";
import { homePage, phonePage } from "../pages.js";
import { steps } from "../verification.js";

const WEB = new URL("../../../web/", import.meta.url);
const OWN_SITE = [undefined, "same-origin", "none"];
const LONGEST_FORM = 10_000; // bytes

const sessions = new Map(); // by the cookie's value; yours are in a database, and end

const server = createServer(async (request, response) => {
  try {
    const answer = await answerTo(request);
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});

async function answerTo(request) {
  const [path] = request.url.split("?");
  const [, purpose, step] = /^\/(signup|login)\/phone(?:\/(start|resend|check))?$/.exec(path) ?? [];
  const session = sessions.get(cookieOf(request)) ?? {};
  if (purpose && purpose !== session.purpose) return redirect("/"); // nobody comes here first
  if (request.method === "GET") {
    if (path === "/") return html(homePage(session));
    if (purpose && !step) return phone(session);
    if (path.startsWith("/otp/")) return component(path.slice("/otp/".length));
  }
  if (request.method === "POST") {
    // Another site's form could log a visitor in as somebody else; a browser says where it comes from.
    if (!OWN_SITE.includes(request.headers["sec-fetch-site"])) return new Response(null, { status: 403 });
    if (!(request.headers["content-length"] <= LONGEST_FORM)) return new Response(null, { status: 413 });
    const form = Object.fromEntries(new URLSearchParams(await text(request)));
    if (path === "/signup") return signUp(request, form);
    if (path === "/login") return logIn(request, form);
    if (path === "/logout") return logOut(request);
    if (step) return take(step, request, session, form);
  }
  return new Response(null, { status: 404 });
}

/** Reserves the name; the account opens with its number. */
async function signUp(request, { name, password }) {
  const account = await accounts.create(name, password);
  return account ? secondStep(request, account) : html(homePage({}, "This name is taken."), 409);
}

/** The first factor; it opens nothing but the second. */
async function logIn(request, { name, password }) {
  const account = await accounts.find(name, password);
  return account ? secondStep(request, account) : html(homePage({}, "Wrong name or password."), 401);
}

function logOut(request) {
  sessions.delete(cookieOf(request));
  return redirect("/");
}

/** Both steps need the same person: the session says who took the first. */
function secondStep(request, { name, number }) {
  const purpose = number ? "login" : "signup";
  return redirect(`/${purpose}/phone`, begin(request, { purpose, name }));
}

/** A script is answered with JSON, a plain form with a redirect. */
async function take(step, request, session, form) {
  const { status, body, notice, approved } = await steps[step](session, form, request.socket.remoteAddress);
  const headers = approved ? begin(request, { user: session.name }) : {};
  if (body.retry_after) headers["Retry-After"] = body.retry_after;
  if (request.headers.accept?.includes("application/json")) return Response.json(body, { status, headers });
  session.notice = notice;
  return redirect(approved ? "/" : `/${session.purpose}/phone`, headers);
}

function phone(session) {
  const page = phonePage(session);
  delete session.notice;
  return html(page);
}

/** The web component: `otp-verify.js` and `languages/`, and nothing beside them. */
async function component(name) {
  const isScript = /^(languages\/)?[\w-]+\.js$/.test(name);
  const script = isScript && (await readFile(new URL(name, WEB), "utf8").catch(() => null));
  if (!script) return new Response(null, { status: 404 });
  return new Response(script, { headers: { "Content-Type": "text/javascript; charset=utf-8" } });
}

/** A new session with a new id: nothing that was there before stays, and an id planted by another opens nothing. */
function begin(request, session) {
  const id = randomBytes(32).toString("base64url");
  sessions.delete(cookieOf(request));
  sessions.set(id, session);
  return { "Set-Cookie": `session=${id}; Path=/; HttpOnly; SameSite=Lax` }; // and Secure behind TLS
}

function cookieOf(request) {
  return /(?:^|; )session=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1];
}

function html(page, status = 200) {
  return new Response(page, { status, headers: { "Content-Type": "text/html; charset=utf-8" } });
}

function redirect(location, headers = {}) {
  return new Response(null, { status: 303, headers: { Location: location, ...headers } });
}

server.listen(Number(process.env.PORT ?? 8005), "127.0.0.1");
