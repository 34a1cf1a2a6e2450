/* What bundlers for browsers find in place of the client. */

throw new Error("otp-service-client holds an API key and is for servers; pages import otp-service-client/browser");

export {};
