export { GevulotClient } from "./client/browserClient.ts";
export * from "./client/exports.ts";
export * from "./errors.ts";
