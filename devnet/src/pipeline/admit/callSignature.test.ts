import { callText, createEthereumKey } from "gevulot-sdk/pipeline";
import { expect, test } from "vitest";
import { callerOf, MAX_CLOCK_SECONDS } from "./callSignature.ts";

const NOW = 1_800_000_000;
const KEY = createEthereumKey(new Uint8Array(32).fill(0x11));
const CALL = { method: "POST", path: "/runs?limit=1", bodyHash: "ab".repeat(32) };
const HEADER = `EIP191 ${NOW}:${KEY.sign(callText({ ...CALL, seconds: NOW }))}`;

test("the text that is signed is the documented one", () => {
  expect(callText({ ...CALL, seconds: NOW })).toBe(
    `gevulot-pipeline\nPOST /runs?limit=1\n${NOW}\n${CALL.bodyHash}`,
  );
});

test("who signed a call is told from its header", () => {
  const caller = callerOf(HEADER, CALL, NOW + MAX_CLOCK_SECONDS);
  expect(caller?.toLowerCase()).toBe(KEY.address);
});

test.each([
  ["another path", { ...CALL, path: "/runs?limit=2" }],
  ["another method", { ...CALL, method: "GET" }],
  ["another body", { ...CALL, bodyHash: "cd".repeat(32) }],
])("%s is somebody else's call", (_, call) => {
  expect(callerOf(HEADER, call, NOW)).not.toBe(callerOf(HEADER, CALL, NOW));
});

test.each([
  ["too late", HEADER, NOW + MAX_CLOCK_SECONDS + 1],
  ["too early", HEADER, NOW - MAX_CLOCK_SECONDS - 1],
  ["no header", undefined, NOW],
  ["another scheme", "Bearer x", NOW],
])("%s: nobody's", (_, header, now) => {
  expect(callerOf(header, CALL, now)).toBeNull();
});
