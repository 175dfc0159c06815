import { EventEmitter } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { METADATA_FILES, RESULT_CODE } from "../wire/messages.ts";
import { loadProtos } from "../wire/protos.ts";
import { createResultStore } from "./resultStore.ts";
import { type Call, JOIN_AGAIN_MS, type Turn } from "./taskRun.ts";
import { createTaskRuns, type TaskRuns } from "./taskRuns.ts";

const { prover } = loadProtos();
let dir: string;
let runs: TaskRuns;
let notKept: string[];
/** Of each computation: what lets it end. */
let computations: ((receipt: string) => void)[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-runs-"));
  computations = [];
  notKept = [];
  runs = createRuns(join(dir, "results"));
});
afterEach(async () => {
  vi.useRealTimers();
  await runs[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

function createRuns(resultsDir: string): TaskRuns {
  return createTaskRuns(
    {
      ...{ prover, results: createResultStore(resultsDir) },
      onFailed: () => {},
      onNotKept: (id) => notKept.push(id),
      async compute(_method, _asked, { begin, signal }: Turn) {
        await begin();
        const receipt = await new Promise<string>((resolve, reject) => {
          computations.push(resolve);
          signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
        });
        return { output_receipt: Buffer.from(receipt), result: { code: RESULT_CODE.OK, message: "" } };
      },
    },
    { slots: 1, waitingRoom: 1 },
  );
}

type TestCall = Call & { cancel(): void };

/** @param files SHA-256 by path */
function prove(id: string, index = 0, files: Record<string, string> = {}): TestCall {
  const metadata = new Metadata();
  metadata.set(METADATA_FILES, Buffer.from(JSON.stringify(files)));
  const about = { proof_id: "run", computed_request_id: id, index };
  const call = Object.assign(new EventEmitter(), {
    ...{ request: about, metadata, cancelled: false },
    getPeer: () => "10.0.0.9:4711",
    getDeadline: () => Number.POSITIVE_INFINITY,
  });
  const cancel = (): void => {
    call.cancelled = true;
    call.emit("cancelled", "cancelled");
  };
  return Object.assign(call, { cancel }) as unknown as TestCall;
}

/** The call's receipt, or the reason why it has none. */
async function answered(call: Call): Promise<string> {
  const { output_receipt: receipt, result } = await runs.run("Prove", call);
  return result.code === RESULT_CODE.OK ? String(receipt) : result.message;
}
const begun = (count: number) =>
  vi.waitFor(() => expect(computations).toHaveLength(count), { timeout: 20_000 });

describe("createTaskRuns", () => {
  it("gives a kept answer to the same request only", async () => {
    const first = answered(prove("a", 0, { elf: "1", segment: "2" }));
    await begun(1);
    computations[0]!("one");
    expect(await first).toBe("one");
    expect(await answered(prove("a", 0, { elf: "1", segment: "2" }))).toBe("one");
    for (const [index, files] of [
      [1, { elf: "1", segment: "2" }],
      [0, { elf: "1", segment: "3" }],
    ] as const) {
      const count = computations.length;
      const other = answered(prove("a", index, files));
      await begun(count + 1);
      computations[count]!("other");
      expect(await other).toBe("other");
    }
  });

  it("doesn't join another request of the same id", async () => {
    const first = answered(prove("a", 0));
    await begun(1);
    expect(await answered(prove("a", 1))).toContain("another request");
    const joined = answered(prove("a", 0));
    computations[0]!("one");
    expect([await first, await joined]).toEqual(["one", "one"]);
  });

  it("answers although the answer can't be kept", async () => {
    await writeFile(join(dir, "file"), "");
    runs = createRuns(join(dir, "file", "results"));
    const answer = answered(prove("a"));
    await begun(1);
    computations[0]!("one");
    expect(await answer).toBe("one");
    expect(notKept).toEqual(["a"]);
  });

  it("notices a call that was cancelled while the kept answers were looked through", async () => {
    const call = prove("a");
    const answer = answered(call);
    call.cancel();
    await expect(answer).rejects.toThrow();
    expect(runs.running()).toEqual([]);
  });

  it("is joined by the stage that takes over, and stops when none does", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const call = prove("a");
    void answered(call).catch(() => {});
    await begun(1);
    call.cancel();
    vi.advanceTimersByTime(JOIN_AGAIN_MS - 1);
    const other = prove("a");
    const joined = answered(other);
    await Promise.resolve();
    vi.advanceTimersByTime(JOIN_AGAIN_MS);
    expect(runs.running()).toEqual(["a"]);
    other.cancel();
    vi.advanceTimersByTime(JOIN_AGAIN_MS);
    await expect(joined).rejects.toThrow("stopped");
    expect(computations).toHaveLength(1);
  });

  it("stops a task whose run is over, unless a call waits for it", async () => {
    const call = prove("a");
    const answer = answered(call);
    await begun(1);
    runs.stop(["a", "unknown"]);
    expect(runs.running()).toEqual(["a"]);
    call.cancel();
    runs.stop(["a"]);
    await expect(answer).rejects.toThrow("stopped");
    expect(runs.running()).toEqual([]);
  });

  it("gives the slot of a task that nobody wants to one that waits for it, after a while", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const unwanted = prove("a");
    void answered(unwanted).catch(() => {});
    await begun(1);
    unwanted.cancel();
    vi.advanceTimersByTime(JOIN_AGAIN_MS / 2);
    const next = answered(prove("b"));
    await begun(2);
    computations[1]!("two");
    expect(await next).toBe("two");
  });
});
