export type * from "./transaction.ts";
