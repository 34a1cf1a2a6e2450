/* Reading JSON that somebody else wrote: a member is what it should be, or there is no answer. */

export type Json = Readonly<Record<string, unknown>>;

/** The JSON object in a text; empty when there is none. */
export function objectIn(text: string): Json {
  try {
    const found: unknown = JSON.parse(text);
    return isObject(found) ? found : {};
  } catch {
    return {};
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The text of that name, or null. */
export function textOrNull(data: Json, name: string): string | null {
  const value = data[name];
  return typeof value === "string" ? value : null;
}

/** The objects of that name; none when there is no list. */
export function objectsIn(data: Json, name: string): readonly Json[] {
  const value = data[name];
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/**
 * The text of that name.
 *
 * @throws {TypeError} There is none.
 */
export function text(data: Json, name: string): string {
  const value = data[name];
  if (typeof value !== "string") throw new TypeError(`${name} is no text`);
  return value;
}

/**
 * The number of that name.
 *
 * @throws {TypeError} There is none.
 */
export function number(data: Json, name: string): number {
  const value = data[name];
  if (typeof value !== "number") throw new TypeError(`${name} is no number`);
  return value;
}

/**
 * The number of that name, or null where it is absent.
 *
 * @throws {TypeError} It is something else.
 */
export function numberOrNull(data: Json, name: string): number | null {
  return data[name] == null ? null : number(data, name);
}

/**
 * The time of that name: RFC 3339 with its offset, which a Date would guess.
 *
 * @throws {TypeError} There is none.
 */
export function time(data: Json, name: string): Date {
  const value = text(data, name);
  const found = new Date(/T[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value) ? value : Number.NaN);
  if (Number.isNaN(found.getTime())) throw new TypeError(`${name} is no time`);
  return found;
}
