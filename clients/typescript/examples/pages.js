/* The pages: plain forms; the component takes their place where scripts run. */

const CREDENTIALS = `
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" required></label>`;
const NUMBER = '<label>Phone number <input name="to" type="tel" autocomplete="tel" required></label>';
const CODE = '<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>';

/** Who is here. */
export function homePage({ user }, error = "") {
  if (user) return page(`<p>Signed in as ${escape(user)}.</p>${form("/logout", "", "Log out")}`);
  return page(alert(error) + form("/signup", CREDENTIALS, "Sign up") + form("/login", CREDENTIALS, "Log in"));
}

/** Asks for the number, unless it is on file, then for the code. */
export function phonePage({ purpose, verification, notice = "" }) {
  const at = `/${purpose}/phone`;
  const asksNumber = purpose === "signup";
  const code = form(`${at}/check`, CODE, "Verify") + form(`${at}/resend`, "", "Send a new code");
  const start = form(`${at}/start`, asksNumber ? NUMBER : "", "Send code");
  return page(`
<otp-verify ${asksNumber ? "" : "number-known"}
  start-url="${at}/start" resend-url="${at}/resend" check-url="${at}/check" verified-url="/"
  step="${verification ? "code" : "phone"}">
${alert(notice)}${verification ? code : ""}${asksNumber || !verification ? start : ""}
</otp-verify>
<script type="module" src="/otp/otp-verify.js"></script>`);
}

function page(body) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Acme</title>
<h1>Acme</h1>
${body}`;
}

function form(action, fields, button) {
  return `<form method="post" action="${action}">${fields}<button>${button}</button></form>`;
}

function alert(text) {
  return `<p role="alert">${escape(text)}</p>`;
}

function escape(text) {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt()};`);
}
