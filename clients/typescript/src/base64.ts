/* Base64, as JWTs and webhook secrets are written. */

/** The bytes of a base64 text, in either alphabet; none if it is not base64. */
export function bytesIn(base64: string): Uint8Array<ArrayBuffer> {
  try {
    const binary = atob(base64.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/** The text in a base64 text; empty if it is not base64. */
export function textIn(base64: string): string {
  return new TextDecoder().decode(bytesIn(base64));
}
