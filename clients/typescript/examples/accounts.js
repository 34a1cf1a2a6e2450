/* Who may sign in. Yours are in a database. */

import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 }; // OWASP Password Storage Cheat Sheet; 128 MiB for each
const NOBODY = { salt: randomBytes(16), hash: randomBytes(32) }; // an unknown name takes as long as a wrong password

const accounts = new Map();

/** A new account, open once it has a number; null when the name is taken, or none. */
export async function create(name, password) {
  if (typeof name !== "string") return null;
  const salt = randomBytes(16);
  const account = { name, salt, hash: await hashOf(password, salt), number: null };
  if (accounts.has(name)) return null;
  accounts.set(name, account);
  return account;
}

/** The account of this name and password; null when there is none. */
export async function find(name, password) {
  const account = accounts.get(name) ?? NOBODY;
  const same = timingSafeEqual(await hashOf(password, account.salt), account.hash);
  return same ? account : null;
}

/** The account of somebody whose password was right. */
export function named(name) {
  return accounts.get(name);
}

function hashOf(password, salt) {
  return promisify(scrypt)(String(password), salt, NOBODY.hash.length, COST);
}
