import { expect } from "vitest";
import type { VerifyLimits, VerifyOptions } from "../matchers.ts";
import { gevulotMatchers } from "../matchers.ts";
import "../errorCodes.ts";

export { gevulotMatchers, type VerifiableRun, type VerifyLimits, type VerifyOptions } from "../matchers.ts";
export { type DevnetContext, type DevnetTestOptions, devnetTest } from "./devnetTest.ts";

declare module "vitest" {
  // The parameter must be the same as in Vitest's own.
  // biome-ignore lint/suspicious/noExplicitAny: as above
  interface Matchers<T = any> {
    /** The Run ends well: its Proofs are verified. What failed is told with the console of the task. */
    toVerify(options?: VerifyOptions): Promise<T>;
    /** As `toVerify`, and no task takes more than this. */
    toVerifyWithin(limits: VerifyLimits): Promise<T>;
  }
}

expect.extend(gevulotMatchers);
