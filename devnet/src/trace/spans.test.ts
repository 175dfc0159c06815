import { describe, expect, test } from "vitest";
import type { AttemptTimes, StoredTimes } from "../store/readRunTimes.ts";
import { joinTraces, type NodeTrace } from "./joinTraces.ts";
import { spansOf } from "./spans.ts";
import { traceTable } from "./traceTable.ts";

const NODE = `04${"aa".repeat(64)}`;
const RUN = "ab".repeat(32);
const PROOF = "cd".repeat(32);
const at = (ms: number) => new Date(Date.UTC(2026, 0, 1) + ms);

const stored = (changes: Partial<StoredTimes>): StoredTimes => ({
  tx: RUN,
  kind: "run",
  author: "client",
  peer: null,
  files: 0,
  receivedAt: at(0),
  verifiedAt: at(2),
  readyAt: at(3),
  fetchedAt: at(3),
  storedAt: at(8),
  ...changes,
});
const attempt = (changes: Partial<AttemptTimes>): AttemptTimes => ({
  task: "7",
  step: 0,
  kind: "proof",
  programName: "prover",
  state: "done",
  waitsFor: null,
  turnAt: null,
  taskQueuedAt: at(8),
  taskEndedAt: at(900),
  number: 1,
  provider: "qemu",
  accelerator: "tcg",
  failure: null,
  startedAt: at(20),
  spawnedAt: at(100),
  bootedAt: at(400),
  programStartedAt: at(450),
  taskTakenAt: at(500),
  resultAt: at(800),
  programEndedAt: at(810),
  vmEndedAt: at(850),
  endedAt: at(900),
  ...changes,
});
/** `name from-to`, in milliseconds. */
const short = (spans: readonly { name: string; startedAt: string; endedAt: string | null }[]) =>
  spans.map(({ name, startedAt, endedAt }) => {
    const ms = (iso: string) => Date.parse(iso) - at(0).getTime();
    return `${name} ${ms(startedAt)}-${endedAt === null ? "" : ms(endedAt)}`;
  });
const task = (changes: Partial<AttemptTimes>) =>
  short(spansOf({ transactions: [], attempts: [attempt(changes)] }, NODE));

describe("spans", () => {
  test("of a transaction: what it waited for only where it did", () => {
    const of = (changes: Partial<StoredTimes>) =>
      spansOf({ transactions: [stored(changes)], attempts: [] }, NODE);
    expect(short(of({}))).toEqual(["accept 0-2", "store 3-8"]);
    expect(of({})[0]).toMatchObject({ tx: RUN, kind: "run", task: null, detail: "from a client" });
    expect(of({ author: NODE })[0]?.detail).toBe("made here");
    const late = of({
      peer: "10.0.0.1:9999",
      readyAt: at(500),
      fetchedAt: at(700),
      storedAt: at(710),
      files: 2,
    });
    expect(short(late)).toEqual(["accept 0-2", "wait-parent 2-500", "fetch-files 500-700", "store 700-710"]);
    expect(late.map(({ peer }) => peer)).toEqual(["10.0.0.1:9999", null, null, null]);
    expect(late[2]?.detail).toBe("2 files");
  });

  test("of a task in a VM: each ends where the next begins", () => {
    expect(task({})).toEqual([
      "queue 8-20",
      "prepare 20-100",
      "kernel 100-400",
      "init 400-450",
      "program 450-810",
      "task-taken 500-500",
      "result 800-800",
      "stop-vm 810-850",
      "collect 850-900",
    ]);
  });

  const none = {
    startedAt: null,
    spawnedAt: null,
    bootedAt: null,
    programStartedAt: null,
    taskTakenAt: null,
    resultAt: null,
    programEndedAt: null,
    vmEndedAt: null,
    endedAt: null,
  };
  test.each<[string, Partial<AttemptTimes>, string[]]>([
    ["that waits", { ...none, number: null, state: "queued", taskEndedAt: null }, ["queue 8-"]],
    [
      "that waited for its turn",
      { ...none, number: null, turnAt: at(15), taskEndedAt: null },
      ["assign 8-15", "queue 15-"],
    ],
    ["that never began", { ...none, number: null, state: "failed" }, ["queue 8-900"]],
    ["in preparation", { ...none, startedAt: at(20) }, ["queue 8-20", "prepare 20-"]],
    [
      "that boots",
      { ...none, startedAt: at(20), spawnedAt: at(100) },
      ["queue 8-20", "prepare 20-100", "kernel 100-"],
    ],
    [
      "that did not boot",
      {
        ...none,
        startedAt: at(20),
        spawnedAt: at(100),
        vmEndedAt: at(700),
        endedAt: at(710),
        failure: "BOOT_FAILED",
      },
      ["queue 8-20", "prepare 20-100", "kernel 100-700", "collect 700-710"],
    ],
    [
      "in a host process",
      { provider: "process", bootedAt: null, taskTakenAt: null, resultAt: null },
      [
        "queue 8-20",
        "prepare 20-100",
        "init 100-450",
        "program 450-810",
        "stop-vm 810-850",
        "collect 850-900",
      ],
    ],
    [
      "whose database's clock is ahead",
      { ...none, startedAt: at(120), spawnedAt: at(100), endedAt: at(300) },
      ["queue 8-120", "kernel 100-300", "prepare 120-120"],
    ],
  ])("of a task %s", (_, changes, wanted) => {
    expect(task(changes)).toEqual(wanted);
  });
});

describe("the spans of nodes", () => {
  const nodeTrace = (name: string, transactions: StoredTimes[], attempts: AttemptTimes[] = []): NodeTrace => {
    const spans = spansOf({ transactions, attempts }, NODE);
    const p2pAddress = `10.0.0.${name.at(-1)}:9999`;
    return { name, trace: { run: RUN, node: NODE, p2pAddress, now: at(0).toISOString(), spans, leftOut: 0 } };
  };
  const heard = (peer: string, ms: number) => {
    const times = { receivedAt: at(ms), verifiedAt: at(ms + 1), readyAt: at(ms + 1), fetchedAt: at(ms + 1) };
    return stored({ ...times, storedAt: at(ms + 4), peer });
  };

  test("are joined: gossip runs from the sender's commit, or from the first one's, to the arrival", () => {
    const joined = joinTraces(RUN, [
      nodeTrace("node0", [stored({})]),
      nodeTrace("node1", [heard("10.0.0.0:9999", 12)]),
      nodeTrace("node2", [heard("10.9.9.9:1", 20)]),
    ]);
    const gossip = joined.spans.filter(({ name }) => name === "gossip");
    expect(short(gossip)).toEqual(["gossip 8-12", "gossip 8-20"]);
    expect(gossip.map(({ node, detail }) => [node, detail])).toEqual([
      ["node1", "from node0"],
      ["node2", "from node0"],
    ]);
    expect([joined.startedAt, joined.endedAt]).toEqual([at(0).toISOString(), at(24).toISOString()]);
  });

  test("make no gossip where nobody that was asked had it before", () => {
    const joined = joinTraces(RUN, [
      nodeTrace("node0", [heard("10.9.9.9:1", 20)]),
      nodeTrace("node1", [stored({ receivedAt: at(500), storedAt: at(510) })]),
    ]);
    expect(joined.spans.map(({ name }) => name)).not.toContain("gossip");
  });

  test("are one table, with a bar for the place of each in the whole", () => {
    const joined = joinTraces(RUN, [
      nodeTrace(
        "node0",
        [
          stored({}),
          stored({
            tx: PROOF,
            kind: "proof",
            receivedAt: at(901),
            verifiedAt: at(902),
            readyAt: at(902),
            fetchedAt: at(902),
            storedAt: at(1_000),
          }),
        ],
        [attempt({})],
      ),
    ]);
    const lines = traceTable(joined, { nowMs: at(9_999).getTime() });
    expect(lines.filter((_, index) => [0, 1, 5, 8, 13].includes(index))).toEqual([
      "   start     took  node   what",
      "+0.000 s  0.002 s  node0  Run abababab accepted          ╸                         from a client",
      "+0.100 s  0.300 s  node0  step 0: VM started, kernel       ━━━━━━━                 qemu, tcg",
      "+0.500 s           node0  step 0: task taken                         ╸",
      "+0.902 s  0.098 s  node0  Proof cdcdcdcd stored                               ━━",
    ]);
  });

  test("that go on end now; a narrow terminal cuts lines", () => {
    const open = attempt({ programEndedAt: null, vmEndedAt: null, endedAt: null, resultAt: null });
    const joined = joinTraces(RUN, [nodeTrace("node0", [stored({})], [open])]);
    expect(joined.endedAt).toBeNull();
    const lines = traceTable(joined, { nowMs: at(2_000).getTime(), width: 70 });
    expect(lines.every((line) => line.length <= 70)).toBe(true);
    expect(lines.find((line) => line.includes("program"))).toMatch(/ … +node0 +step 0: program +━/);
  });

  test("what a stranger calls his program stays in its line, and is text", () => {
    const named = attempt({ programName: "prover\n\u001b[2J" });
    const joined = joinTraces(RUN, [nodeTrace("node0", [stored({})], [named])]);
    const lines = traceTable(joined, { nowMs: at(2_000).getTime() });
    expect(lines.find((line) => line.includes("step 0: program"))).toMatch(/prover \[2J$/);
  });

  test("of a run without any", () => {
    expect(traceTable(joinTraces(RUN, []), { nowMs: 0 })).toEqual([
      expect.stringContaining("Nothing is noted"),
    ]);
  });
});
