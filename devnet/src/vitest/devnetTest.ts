import { type TestAPI, test } from "vitest";
import { describeFailure } from "../matchers.ts";
import type { Checkpoint } from "../state/snapshots.ts";
import { type Devnet, startDevnet } from "../up/devnet.ts";
import type { DevnetOptions } from "../up/devnetOptions.ts";

export interface DevnetTestOptions<Ready> extends DevnetOptions {
  /**
   * `file`: each test file has a devnet of its own, the default. `worker`: the files that one worker of Vitest runs share
   * one, which pays off with `isolate: false`.
   */
  readonly scope?: "file" | "worker";
  /** Done once, e.g. to deploy programs; what it gives is `ready` in each test. */
  readonly setup?: (net: Devnet) => Promise<Ready>;
}

/** What each test gets. */
export interface DevnetContext<Ready> {
  /** A running devnet, as `setup` left it: what a test does to it is undone after the test, faults too. */
  readonly net: Devnet;
  readonly ready: Ready;
}

interface Shared<Ready> {
  readonly net: Devnet;
  readonly ready: Ready;
}

interface Cleanup {
  readonly onCleanup: (work: () => Promise<void>) => void;
}

type SharedTest<Ready> = TestAPI<{ readonly sharedDevnet: Shared<Ready> }>;

/**
 * Vitest's `test` with a devnet.
 *
 * @example
 * ```ts
 * const test = devnetTest({ provider: "process", setup: (net) => net.client().deploy(program) });
 *
 * test("the proof is verified", async ({ net, ready }) => {
 *   await expect(await net.client().prove({ ...ready, args: ["--nonce", "42"] })).toVerify();
 * });
 * ```
 */
export function devnetTest<Ready = undefined>(
  options: DevnetTestOptions<Ready> = {},
): TestAPI<DevnetContext<Ready>> {
  const { scope = "file", setup, ...devnet } = options;
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads from here which fixtures it needs
  const open = async ({}: object, { onCleanup }: Cleanup): Promise<Shared<Ready>> => {
    const net = await startDevnet(devnet);
    onCleanup(() => net.close());
    return { net, ready: (await setup?.(net)) as Ready };
  };
  // Written twice, as the types of the two are not the same.
  const shared =
    scope === "file"
      ? test.extend("sharedDevnet", { scope: "file" }, open)
      : (test.extend("sharedDevnet", { scope: "worker" }, open) as unknown as SharedTest<Ready>);
  return (shared as SharedTest<Ready>)
    .extend("net", async ({ sharedDevnet: { net }, onTestFailed }, { onCleanup }) => {
      onTestFailed(({ task }) => {
        for (const error of task.result?.errors ?? []) addConsole(error as unknown as Error);
      });
      const checkpoint = await net.checkpoint();
      onCleanup(() => goBack(net, checkpoint));
      return net;
    })
    .extend("ready", ({ sharedDevnet: { ready } }) => ready) as unknown as TestAPI<DevnetContext<Ready>>;
}

async function goBack(net: Devnet, checkpoint: Checkpoint): Promise<void> {
  try {
    await net.faults.heal();
    // A test may have stopped some by itself.
    for (const node of net.nodes) await node.start();
    await checkpoint.revert();
  } finally {
    await checkpoint[Symbol.asyncDispose]();
  }
}

/** What a failed task wrote is what its author needs to see. */
function addConsole(error: Error): void {
  const text = describeFailure(error);
  if (text !== null) error.message = text;
}
