import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { type ContractCase, type ContractSizes, comparable, contractCases, entropyOf } from "./cases.ts";
import { type CaseEnd, createHarness, type Harness, type NanosFiles, type ProgramKind } from "./harness.ts";

const KINDS: readonly ProgramKind[] = [
  "Node.js by files",
  "Node.js by VSOCK",
  "exec, static",
  "exec, dynamic",
];
const NANOS: ProgramKind = "Node.js under Nanos";
/** Emulated VMs have a processor each, nearly. */
const AT_ONCE = 3;

export interface ContractOptions {
  readonly full: boolean;
  readonly sizes: ContractSizes;
  /** Default: those of GEVULOT_NANOS_KERNEL and GEVULOT_NANOS_BOOT, else of an installed ops. */
  readonly nanos?: NanosFiles;
}

/**
 * One table of cases for every kind of program, in VMs and as host processes, whose ends are compared. Without `full`
 * each case has its turn in a VM, but not with every kind; what is left out stands among the skipped tests.
 */
export function describeContract(options: ContractOptions): void {
  const { nanos = findNanos() } = options;
  const cases = contractCases(options.sizes);
  const inVm = (kind: ProgramKind, index: number): boolean =>
    options.full || index === 0 || index % KINDS.length === KINDS.indexOf(kind);
  let harness: Harness;
  let hasCompiler = false;
  const turn = createTurns(AT_ONCE);
  const entropies: (string | undefined)[] = [];
  const onHost = new Map<string, Promise<CaseEnd>>();

  beforeAll(async () => {
    hasCompiler = await findCompiler();
    harness = await createHarness(nanos);
  });
  afterAll(() => harness?.[Symbol.asyncDispose]());

  const need = (kind: ProgramKind, context: TestContext): void => {
    const reason = whyNotHere(kind, hasCompiler, harness);
    if (reason !== null) context.skip(reason);
  };
  /** Once for each; over VSOCK a host process can't, so that its files are compared. */
  const hostEnd = (kind: ProgramKind, one: ContractCase): Promise<CaseEnd> => {
    const twin = kind.startsWith("Node.js") ? "Node.js by files" : kind;
    const key = `${twin}: ${one.name}`;
    const end = onHost.get(key) ?? turn(() => harness.run(twin, "process", one.run));
    onHost.set(key, end);
    return end;
  };

  const proveInVm = async (kind: ProgramKind, one: ContractCase): Promise<void> => {
    const end = await turn(() => harness.run(kind, "qemu", one.run));
    await one.check(end, kind);
    if (one === cases[0]) entropies.push(await entropyOf(end));
    if (one.notOnHost === undefined)
      expect(await comparable(end)).toEqual(await comparable(await hostEnd(kind, one)));
  };

  describe.concurrent.each(KINDS)("%s", (kind) => {
    cases.forEach((one, index) => {
      if (!inVm(kind, index)) return;
      test(`${one.name} (${one.proves.length} cases of the contract)`, async (context) => {
        need(kind, context);
        await proveInVm(kind, one);
      });
    });
    tellLeft(cases.filter((_, index) => !inVm(kind, index)));
  });

  describe.concurrent.each(KINDS.filter((kind) => kind !== "Node.js by VSOCK"))("%s, on the host", (kind) => {
    for (const one of cases) {
      test(one.name, async (context) => {
        need(kind, context);
        if (one.notOnHost !== undefined) context.skip(one.notOnHost);
        const end = await hostEnd(kind, one);
        await one.check(end, kind);
        if (one.name === cases[0]?.name) entropies.push(await entropyOf(end));
      });
    }
  });

  const chosen = options.full ? cases : cases.slice(0, 1);
  describeNanos(nanos === null ? null : chosen, cases, (one) => proveInVm(NANOS, one));

  test("no two VMs have the same randomness", () => {
    expect(entropies.length).toBeGreaterThan(1);
    expect(new Set(entropies).size).toBe(entropies.length);
  });
}

function whyNotHere(kind: ProgramKind, hasCompiler: boolean, { vsock }: Harness): string | null {
  if (kind.startsWith("exec") && !hasCompiler) return "needs gcc";
  return kind === "Node.js by VSOCK" && vsock.kind === "none" ? `no VSOCK here: ${vsock.detail}` : null;
}

/** What is left out stands among the skipped tests. */
function tellLeft(cases: readonly ContractCase[]): void {
  const left = cases.flatMap(({ proves }) => proves);
  if (left.length === 0) return;
  const reason = `in a VM only with npm run test:long: ${left.join(", ")}`;
  test(`${left.length} more cases`, (context) => context.skip(reason));
}

/** @param chosen null without a kernel; one case, what goes in and out, shows that it runs at all */
function describeNanos(
  chosen: readonly ContractCase[] | null,
  all: readonly ContractCase[],
  prove: (one: ContractCase) => Promise<void>,
): void {
  describe.concurrent(NANOS, () => {
    if (chosen === null) {
      const names = all.flatMap(({ proves }) => proves);
      const reason = `no kernel.img and boot.img of Nanos: set GEVULOT_NANOS_KERNEL and GEVULOT_NANOS_BOOT, or install ops: ${names.join(", ")}`;
      test(`${names.length} cases`, (context) => context.skip(reason));
      return;
    }
    for (const one of chosen) {
      test(`${one.name} (${one.proves.length} cases of the contract)`, async (context) => {
        if (one.notOnNanos !== undefined) context.skip(one.notOnNanos);
        await prove(one);
      });
    }
  });
}

function findNanos(): NanosFiles {
  const opsHome = join(process.env.OPS_HOME || homedir(), ".ops");
  const [kernelPath, bootPath] = [process.env.GEVULOT_NANOS_KERNEL, process.env.GEVULOT_NANOS_BOOT];
  if (kernelPath && bootPath) return { opsHome, kernelPath, bootPath };
  return existsSync(join(opsHome, "latest.txt")) ? { opsHome } : null;
}

function findCompiler(): Promise<boolean> {
  return promisify(execFile)("gcc", ["--version"]).then(
    () => true,
    () => false,
  );
}

function createTurns(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
