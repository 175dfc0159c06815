import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createPipelineProcesses,
  type PipelineProcesses,
  startsOf,
} from "../fixtures/pipeline/pipelineProcesses.ts";

const SEGMENTS = { public_input_stream: Buffer.from("8") };
const LIMIT_MS = 90_000;

let net: PipelineProcesses;
beforeEach(async () => {
  net = await createPipelineProcesses();
});
afterEach(async () => {
  await net[Symbol.asyncDispose]();
});

/** The attempts at a node that did not end well. */
async function setbacksOf(node: string): Promise<string[]> {
  const found = await net.database.query<{ outcome: string; error: string }>(
    "select outcome, error from pipeline_attempt where node = $1 and outcome <> 'done'",
    [node],
  );
  return found.rows.map(({ outcome, error }) => `${outcome}: ${error}`);
}

async function untilProves(count: number): Promise<void> {
  await expect
    .poll(
      () =>
        readFileSync(net.stepLog, "utf8")
          .split("\n")
          .filter((line) => /^end .* prove$/.test(line)).length,
      {
        timeout: LIMIT_MS,
      },
    )
    .toBeGreaterThanOrEqual(count);
}

describe("nodes and databases that misbehave", () => {
  it("gives work elsewhere that is never answered, or answered with nothing, and says by whom", async () => {
    const stage = await net.stage("stage", { lines: "max_attempts = 6\ndeadline_seconds = { prove = 4 }" });
    const stages = [net.addrOf("stage")];
    await net.prover("silent", stages, { prove: ["sleep", "600"] });
    await net.prover("empty", stages, { prove: ["sh", "-c", ": >{out}/receipt", "{out}"] });
    await net.prover("good", stages);
    const { proof_id: id } = await stage.client.submit(SEGMENTS);
    expect(await stage.client.finished(id!, LIMIT_MS)).toMatchObject({ status: 0 });
    expect(await setbacksOf("silent")).toContain("late: no answer within 4 s");
    expect(await setbacksOf("empty")).toContain("failed: the node answered OK without an output");
    expect(await setbacksOf("good")).toEqual([]);
  });

  it("notices a frozen node by its silence, and a database that is away for five seconds", async () => {
    const stage = await net.stage("stage");
    const stages = [net.addrOf("stage")];
    const frozen = await net.prover("frozen", stages, { pauseSeconds: 1 });
    await net.prover("good", stages, { pauseSeconds: 1 });
    const { proof_id: id } = await stage.client.submit(SEGMENTS);
    await untilProves(1);
    process.kill(frozen.pid, "SIGSTOP");
    await net.postgres.stop();
    await delay(5_000);
    await net.postgres.start();
    expect(await stage.client.finished(id!, LIMIT_MS)).toMatchObject({ status: 0 });
    expect((await setbacksOf("frozen")).join()).toContain("lost: the node left, or no longer answers");
    expect(
      [...startsOf(net.stepLog).values()].reduce((sum, count) => sum + count - 1, 0),
    ).toBeLessThanOrEqual(4);
  });

  it("ends the runs of a stage that died at another stage of the same database", async () => {
    const [one, two] = [await net.stage("one"), await net.stage("two")];
    const stages = [net.addrOf("one"), net.addrOf("two")];
    for (const name of ["a", "b"]) await net.prover(name, stages, { pauseSeconds: 0.5 });
    const first = await one.client.submit(SEGMENTS);
    const second = await two.client.submit(SEGMENTS);
    await untilProves(2);
    await one.kill();
    const ends = [
      await two.client.finished(first.proof_id!, LIMIT_MS),
      await two.client.finished(second.proof_id!, LIMIT_MS),
    ];
    expect(ends).toMatchObject([{ status: 0 }, { status: 0 }]);
    expect(ends[0]!.proof_with_public_inputs).toEqual(ends[1]!.proof_with_public_inputs);
  });

  it("joins what a node still does for a stage that died", async () => {
    const [one, two] = [await net.stage("one"), await net.stage("two")];
    const stages = [net.addrOf("one"), net.addrOf("two")];
    // Longer than a stage must be silent to count as dead.
    await net.prover("a", stages, { slots: 1, pauseSeconds: 30 });
    const request = { public_input_stream: Buffer.from("1"), composite_proof: true };
    const { proof_id: id } = await one.client.submit(request);
    await expect.poll(() => startsOf(net.stepLog).size, { timeout: LIMIT_MS }).toBe(2);
    await one.kill();
    expect(await two.client.finished(id!, LIMIT_MS)).toMatchObject({ status: 0 });
    expect([...startsOf(net.stepLog).values()]).toEqual([1, 1]);
  });
});
