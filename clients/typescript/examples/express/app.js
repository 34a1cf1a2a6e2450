/*
 * Sign-up with a verified number, and login with a second factor, in Express.
 *
 * Run `otp-service dev`, then `OTP_API_KEY=otp_live_… npm start` here, and open http://127.0.0.1:8004.
 */

import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import express from "express";
import session from "express-session";
import * as accounts from "../accounts.js";
import { homePage, phonePage } from "../pages.js";
import { steps } from "../verification.js";

const WEB = fileURLToPath(new URL("../../../web", import.meta.url));
const OWN_SITE = [undefined, "same-origin", "none"];

const app = express();
app.use("/otp", express.static(WEB));
// Another site's form could log a visitor in as somebody else; a browser says where it comes from.
app.use(({ method, headers }, response, next) => {
  if (method !== "POST" || OWN_SITE.includes(headers["sec-fetch-site"])) next();
  else response.sendStatus(403);
});
app.use(express.urlencoded());
app.use(
  session({
    name: "session",
    secret: randomBytes(32).toString("hex"),
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: "lax" }, // and secure behind TLS
  }),
);

app.get("/", (request, response) => {
  response.send(homePage(request.session));
});

app.post("/logout", async (request, response) => {
  await begin(request, {});
  response.redirect(303, "/");
});

// Reserves the name; the account opens with its number.
app.post("/signup", async (request, response) => {
  const { name, password } = request.body ?? {};
  const account = await accounts.create(name, password);
  if (!account) return response.status(409).send(homePage({}, "This name is taken."));
  await secondStep(request, response, account);
});

// The first factor; it opens nothing but the second.
app.post("/login", async (request, response) => {
  const { name, password } = request.body ?? {};
  const account = await accounts.find(name, password);
  if (!account) return response.status(401).send(homePage({}, "Wrong name or password."));
  await secondStep(request, response, account);
});

const phone = express.Router({ mergeParams: true });
app.use("/:purpose/phone", phone);

// Nobody comes here first.
phone.use(({ params, session }, response, next) => {
  if (session.purpose === params.purpose) next();
  else response.redirect(303, "/");
});

phone.get("/", ({ session }, response) => {
  const page = phonePage(session);
  delete session.notice; // told once; what is left when the answer ends is kept
  response.send(page);
});

for (const [name, step] of Object.entries(steps)) {
  phone.post(`/${name}`, async (request, response) => {
    const { body: form = {}, ip, session } = request;
    const { status, body, notice, approved } = await step(session, form, ip);
    if (approved) await begin(request, { user: session.name });
    response.set(body.retry_after ? { "Retry-After": body.retry_after } : {}).format({
      html() {
        request.session.notice = notice;
        response.redirect(303, approved ? "/" : `/${session.purpose}/phone`);
      },
      json: () => response.status(status).json(body),
    });
  });
}

/** Both steps need the same person: the session says who took the first. */
async function secondStep(request, response, { name, number }) {
  const purpose = number ? "login" : "signup";
  await begin(request, { purpose, name });
  response.redirect(303, `/${purpose}/phone`);
}

/** A new session with a new id: nothing that was there before stays, and an id planted by another opens nothing. */
async function begin(request, content) {
  await promisify(request.session.regenerate).call(request.session);
  Object.assign(request.session, content);
}

app.listen(Number(process.env.PORT ?? 8004), "127.0.0.1");
