import { expect, test } from "vitest";
import { parseGuestMessage } from "./guestMessage.ts";

test.each([
  ["GV booted 1.79", { kind: "booted" }],
  ["GV program 1.81", { kind: "program" }],
  ["GV exited 0 3.31", { kind: "exited", exitCode: 0 }],
  ["GV exited 255 3.31", { kind: "exited", exitCode: 255 }],
  ["GV exited 3", { kind: "exited", exitCode: 3 }],
  ["GV signalled 11 2.5", { kind: "signalled", signal: "SIGSEGV" }],
  ["GV signalled KILL 2.5", { kind: "signalled", signal: "SIGKILL" }],
  ["GV signalled SIGABRT 2.5", { kind: "signalled", signal: "SIGABRT" }],
  ["GV signalled 64 2.5", { kind: "signalled", signal: "signal 64" }],
  ["GV oom 2.5", { kind: "outOfMemory" }],
  ["GV failed no root disk", { kind: "failed", reason: "no root disk" }],
  ["GV failed", { kind: "failed", reason: "it did not say why" }],
  ["GV failed \u001b[2Jx", { kind: "failed", reason: "?[2Jx" }],
])("%s", (line, message) => {
  expect(parseGuestMessage(line)).toEqual(message);
});

test.each([
  "",
  "GV",
  "GV ",
  "gv booted",
  " GV booted 1",
  "GV exited",
  "GV exited x 1",
  "GV exited -1 1",
  "GV exited 256 1",
  "GV exited 0000 1",
  "GV exited 3.5 1",
  "GV signalled 1.2",
  "GV signalled",
  "GV signalled ../x 1",
  "GV signalled 123 1",
  "GV unknown 1",
])("not a message: %j", (line) => {
  expect(parseGuestMessage(line)).toBeNull();
});

test("a reason is cut to a length that logs can take", () => {
  const message = parseGuestMessage(`GV failed ${"x".repeat(3_000)}`);
  expect(message).toEqual({ kind: "failed", reason: "x".repeat(1_000) });
});
