import type { TaskStatus } from "gevulot-sdk";
import { publicKeyOf, signMessage } from "gevulot-sdk/protocol";
import { describe, expect, it } from "vitest";
import { MAX_REPORT_BYTES, openReport, signReport } from "./taskReport.ts";

const SECRET = new Uint8Array(32).fill(7);
const TASK = {
  id: "0a",
  step: 0,
  kind: "proof",
  program: "aa".repeat(32),
  programName: "prover",
  proof: null,
  state: "failed",
  waitsFor: null,
  attempts: [],
  result: null,
  failure: {
    code: "PROGRAM_FAILED",
    message: "no such witness",
    step: 0,
    exitCode: 3,
    signal: null,
    consoleTail: "last words",
  },
} as unknown as TaskStatus;
const REPORT = { run: "12".repeat(32), sentAt: new Date(1_700_000_000_000), task: TASK };
const HEADER_BYTES = 65 + 64;

const withFailure = (change: object) =>
  ({ ...TASK, failure: { ...TASK.failure, ...change } }) as unknown as TaskStatus;
const open = (task: TaskStatus) => openReport(signReport({ ...REPORT, task }, SECRET));

describe("a signed report", () => {
  it("says what was signed, and who did", () => {
    const report = openReport(signReport(REPORT, SECRET));
    expect(report).toMatchObject({ ...REPORT, author: publicKeyOf(SECRET) });
  });

  it("leaves out of a text what the database does not take", () => {
    const failure = open(withFailure({ message: "a\0b", consoleTail: "half \ud83d" })).task.failure;
    expect(failure).toMatchObject({ message: "ab", consoleTail: "half \ufffd" });
  });

  it.each([
    ["a code that is none", withFailure({ code: "drop table" })],
    ["a message that is too long", withFailure({ message: "x".repeat(20_000) })],
    ["a step beyond the database's numbers", withFailure({ step: 2 ** 40 })],
    ["a hash that is none", { ...TASK, program: "zz" } as TaskStatus],
    ["an unknown state", { ...TASK, state: "lost" } as unknown as TaskStatus],
  ])("is refused for %s", (_, task) => {
    expect(() => open(task)).toThrow(expect.objectContaining({ code: "REPORT_INVALID" }));
  });

  it("is refused when a byte of it was changed, and when it is cut or too long", () => {
    const bytes = signReport(REPORT, SECRET);
    for (const at of [0, 70, HEADER_BYTES, bytes.length - 1]) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      expect(() => openReport(changed), `byte ${at}`).toThrow();
    }
    expect(() => openReport(bytes.slice(0, HEADER_BYTES))).toThrow();
    expect(() => openReport(new Uint8Array(MAX_REPORT_BYTES + 1))).toThrow(
      expect.objectContaining({ code: "REPORT_INVALID" }),
    );
  });

  it("is refused where its key signed something else", () => {
    const bytes = signReport(REPORT, SECRET);
    const foreign = Uint8Array.from(bytes);
    foreign.set(signMessage(new Uint8Array(32).fill(1), SECRET), 65);
    expect(() => openReport(foreign)).toThrow(expect.objectContaining({ code: "REPORT_INVALID" }));
  });
});
