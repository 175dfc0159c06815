export * from "./errors.ts";
export type * from "./runStatus.ts";
