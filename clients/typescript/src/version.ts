/** The version of this package; a test holds package.json to it. */
export const version: string = "0.1.0";
