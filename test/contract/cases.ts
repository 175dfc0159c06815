import { readFile } from "node:fs/promises";
import { expect } from "vitest";
import { type CaseEnd, type CaseRun, CONTRACT_ENV, type ProgramKind } from "./harness.ts";

/** One start of a program; `proves` names the contract's cases that it shows. */
export interface ContractCase {
  readonly name: string;
  readonly proves: readonly string[];
  readonly run: CaseRun;
  check(end: CaseEnd, kind: ProgramKind): Promise<void> | void;
  /** Null, or why a host process can't show it. */
  readonly notOnHost?: string;
  /** Likewise of Nanos. */
  readonly notOnNanos?: string;
}

export interface ContractSizes {
  readonly largeBytes: number;
  readonly smallFiles: number;
  readonly floodLines: number;
}

const PROBES = [
  "two words",
  `"double" 'single' \`back\` $HOME \\ ;`,
  "Grüße, 世界 🌍",
  "",
  "-n",
  "*",
  "last\nline",
];
const DEEP = `${"d/".repeat(30)}end.txt`;
const MAX_CLOCK_SECONDS = 120;
/** 10,000 files, 1 GiB, and 5 MB by a serial port take an emulated VM on a busy machine long. */
const BATCH_DEADLINE_MS = 1_200_000;
const base: CaseRun = { args: [], inputs: {}, memMib: 384, deadlineMs: 300_000, cancel: false };

/** The table: twenty cases in ten starts, those that end a program having one each. */
export function contractCases(sizes: ContractSizes): ContractCase[] {
  const fails =
    (code: string, more: object = {}) =>
    (end: CaseEnd) => {
      expect(end.failure).toMatchObject({ code, ...more });
    };
  return [
    batch(sizes),
    {
      name: "exit code",
      proves: ["exit code"],
      run: { ...base, args: ["exit", "3"] },
      check: fails("PROGRAM_FAILED", { exitCode: 3 }),
    },
    {
      name: "signal",
      proves: ["signal"],
      run: { ...base, args: ["signal"] },
      check: fails("PROGRAM_FAILED", { signal: "SIGSEGV" }),
      notOnNanos: "Nanos tells of no signal",
    },
    {
      name: "own message",
      proves: ["panic message"],
      run: { ...base, args: ["message"] },
      check: fails("PROGRAM_FAILED", { message: expect.stringContaining("the program's own words") }),
    },
    {
      name: "missing output",
      proves: ["missing output"],
      run: { ...base, args: ["missing"] },
      check: fails("PROGRAM_FAILED", { message: expect.stringContaining("out/") }),
    },
    {
      name: "out of memory",
      proves: ["out of memory"],
      run: { ...base, args: ["memory"], memMib: 256 },
      check: fails("OUT_OF_MEMORY"),
      notOnHost: "the memory of a host process is not limited",
      notOnNanos: "Nanos does not say that memory was short",
    },
    {
      name: "console flood",
      proves: ["console flood"],
      run: { ...base, deadlineMs: BATCH_DEADLINE_MS, args: ["flood", String(sizes.floodLines)] },
      check(end) {
        expect(end.failure).toBeNull();
        expect(end.consoleTail).toContain("last line");
      },
    },
    {
      name: "deadline",
      proves: ["deadline"],
      run: { ...base, args: ["forever"], deadlineMs: 8_000 },
      check: fails("DEADLINE"),
    },
    {
      name: "cancel",
      proves: ["cancel"],
      run: { ...base, args: ["forever"], cancel: true },
      check: fails("CANCELLED"),
    },
  ];
}

function batch({ largeBytes, smallFiles }: ContractSizes): ContractCase {
  // Something of its own in each block, so that a swapped one shows.
  const large = Buffer.alloc(largeBytes);
  for (let at = 0; at + 8 <= largeBytes; at += 4_096) large.writeDoubleLE(at, at);
  return {
    name: "what goes in and out",
    proves: [
      ...[
        "argument with a space",
        "argument with quotes",
        "argument in unicode",
        "empty argument",
        "other arguments",
      ],
      ...[
        "environment",
        "file of 0 bytes",
        "large file",
        "many small files",
        "deep path",
        "clock",
        "entropy",
      ],
    ],
    run: {
      ...base,
      deadlineMs: BATCH_DEADLINE_MS,
      args: ["batch", String(smallFiles), ...PROBES],
      inputs: { "in/zero": new Uint8Array(), "in/large": large, [`in/${DEEP}`]: Buffer.from("deep down") },
    },
    async check(end) {
      expect(end.failure).toBeNull();
      expect(end.data).toBe("done");
      const report = await readReport(end);
      expect(PROBES.map((_, index) => fromHex(report.get(`arg${index}`)))).toEqual(PROBES);
      expect(report.get("args")).toBe(String(PROBES.length));
      expect(fromHex(report.get("env"))).toBe(CONTRACT_ENV);
      expect([report.get("zero"), report.get("small")]).toEqual(["0", String(smallFiles)]);
      expect(fromHex(report.get("deep"))).toBe("deep down");
      expect(Math.abs(Number(report.get("clock")) - end.endedAtMs / 1_000)).toBeLessThan(MAX_CLOCK_SECONDS);
      expect(report.get("entropy")).toMatch(/^[0-9a-f]{32}$/);
      expect((await bytesOf(end, "out/zero")).length).toBe(0);
      expect((await bytesOf(end, "out/large")).equals(large)).toBe(true);
      expect((await bytesOf(end, `out/${DEEP}`)).toString()).toBe("deep down");
    },
  };
}

/** What must be the same wherever a program of a kind runs. */
export async function comparable(end: CaseEnd): Promise<Record<string, unknown>> {
  const { failure, data } = end;
  const files = [...end.files].filter(([path]) => path !== "/workspace/out/report");
  const report = [...(await readReport(end))].filter(([name]) => !["clock", "entropy"].includes(name));
  return {
    failure: failure && { code: failure.code, exitCode: failure.exitCode, signal: failure.signal },
    data,
    files: files.map(([path, { checksum }]) => `${path} ${checksum}`).sort(),
    report,
  };
}

export async function entropyOf(end: CaseEnd): Promise<string | undefined> {
  return (await readReport(end)).get("entropy");
}

async function readReport(end: CaseEnd): Promise<Map<string, string>> {
  const file = end.files.get("/workspace/out/report");
  if (file === undefined) return new Map();
  const lines = (await readFile(file.path, "utf8")).trimEnd().split("\n");
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]));
}

async function bytesOf(end: CaseEnd, path: string): Promise<Buffer> {
  const file = end.files.get(`/workspace/${path}`);
  expect(file, `${path} was handed back`).toBeDefined();
  return readFile(file?.path ?? "");
}

function fromHex(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text, "hex").toString();
}
