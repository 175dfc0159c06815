import { isGevulotError } from "gevulot-sdk";
import type { VmOutcome } from "./provider.ts";

/** What a task whose image can't be used comes to. Throws the error again if it is not the image's fault. */
export function imageOutcome(error: unknown): VmOutcome {
  if (isGevulotError(error, "IMAGE_INVALID") || isGevulotError(error, "KERNEL_INVALID"))
    return { kind: "bootFailed", reason: error.message };
  throw error;
}
