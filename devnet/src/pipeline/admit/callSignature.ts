import { callText, type SignedCall } from "gevulot-sdk/pipeline";
import { recoverAddress } from "./requestSignature.ts";

const HEADER = /^EIP191 (\d{1,12}):(?:0x)?([0-9a-fA-F]{130})$/;
/** How far the clocks of client and stage may be apart; a signature can't be used again after that. */
export const MAX_CLOCK_SECONDS = 300;

/**
 * The address that signed a call: header `authorization: EIP191 <unix seconds>:<signature>`. Null where there is none, or
 * its time is off.
 */
export function callerOf(
  header: string | undefined,
  call: Omit<SignedCall, "seconds">,
  nowSeconds: number,
): string | null {
  const match = HEADER.exec(header ?? "");
  if (!match) return null;
  const seconds = Number(match[1]);
  if (Math.abs(seconds - nowSeconds) > MAX_CLOCK_SECONDS) return null;
  return recoverAddress(callText({ ...call, seconds }), match[2]!);
}
