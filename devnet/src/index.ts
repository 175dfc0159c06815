export type { Account } from "./up/accounts.ts";
export { type Devnet, type DevnetNode, type DevnetOptions, startDevnet } from "./up/devnet.ts";
