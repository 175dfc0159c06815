export * from "./client/exports.ts";
export * from "./errors.ts";
export { GevulotClient } from "./node/gevulotClient.ts";
