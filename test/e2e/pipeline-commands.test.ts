import { createHash, randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../fixtures/cli.ts";
import { createPipelineNet, FAST_PROVER, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";
import { USER, USER_KEY } from "../fixtures/pipeline/signRequest.ts";

const fast = (...env: string[]) => ({
  command: ["env", ...env, process.execPath, FAST_PROVER, "{in}", "{out}"],
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

const NO_WRAPPER = "no node is here that does snark: start one whose configuration has [steps] snark";

let net: PipelineNet;
let stageAddr: string;
let user: string[];
const path = (name: string) => join(net.dir, name);

beforeAll(async () => {
  net = await createPipelineNet();
  const stage = await net.stage({ api_addr: "127.0.0.1:0", steps: { verify: fast() } });
  stageAddr = stage.addr;
  await writeFile(path("key"), USER_KEY);
  await writeFile(path("elf"), "an ELF");
  await writeFile(path("input"), '{"segments":3}');
  await writeFile(path("slow"), '{"segments":3,"splitMs":60000}');
  const config = { addr: "127.0.0.1:0", base_dir: path("stage"), database_url: net.databaseUrl };
  const lines = Object.entries(config).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  await writeFile(path("stage.toml"), lines.join(""));
  user = ["-u", `http://127.0.0.1:${stage.apiPort}`, "-k", path("key")];
  await net.prover("splitter", stage.addr, { steps: { split: fast(), prove: fast(), agg: fast() } });
});
afterAll(() => net?.[Symbol.asyncDispose]());

const pipeline = (...args: string[]) => runCli("gevulot-devnet", ["pipeline", ...args]);
const asUser = async (command: string, ...args: string[]) => {
  const { code, stdout } = await pipeline(command, ...args, ...user, "--json");
  return { code, ...JSON.parse(stdout) };
};

describe("the commands of a pipeline's users", () => {
  it("submit, list, show, cancel, retry, and fetch the proof", async () => {
    const proofId = randomUUID();
    const request = [path("elf"), "-i", path("input"), "--proof-id", proofId, "--deadline", "600"];
    expect(await asUser("submit", ...request)).toMatchObject({ data: { proofId, status: "COMPUTING" } });
    // Nobody here can wrap.
    await expect.poll(async () => (await asUser("status", proofId)).data.unserved).toEqual([NO_WRAPPER]);
    const { stdout } = await pipeline("status", proofId, ...user);
    expect(stdout).toContain(`${proofId}  COMPUTING`);
    expect(stdout).toContain(`\n  ${NO_WRAPPER}\n`);
    expect(stdout).toMatch(/^ {2}prove\/2 +done .* splitter$/m);
    expect((await asUser("list", "--state", "running")).data).toMatchObject([{ proofId }]);

    const result = (...args: string[]) => asUser("result", proofId, "-o", path("proof"), ...args);
    expect(await result()).toMatchObject({ code: 1, error: { code: "PIPELINE_NOT_DONE" } });
    const wait = ["result", proofId, "-o", path("proof"), "--wait", "--timeout", "0.1"];
    const late = await pipeline(...wait, ...user);
    expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining("but 100 ms are up") });
    expect(await asUser("cancel", proofId)).toMatchObject({ data: { error: `cancelled by ${USER}` } });
    expect((await result()).error.message).toContain(`cancelled by ${USER}`);

    await net.prover("wrapper", stageAddr, { steps: { snark: fast() } });
    expect(await asUser("retry", proofId)).toMatchObject({ data: { status: "COMPUTING" } });
    expect(await result("--wait")).toMatchObject({ code: 0, data: { status: "SUCCESS", segments: 3 } });
    expect(await readFile(path("proof"), "utf8")).toMatch(/^proof:[0-9a-f]{64}$/);
  });

  it("wait for a run, and estimate the next one by it", async () => {
    const input = ["-i", path("input"), "--wait", "-o", path("first")];
    const first = await pipeline("submit", path("elf"), ...input, ...user);
    expect(first.stdout).toMatch(/^Run: \S+\nSUCCESS: 3 segments, \d+ tasks\nProof: .*first\n$/);
    const slow = (await asUser("submit", path("elf"), "-i", path("slow"))).data.proofId;
    const { stdout } = await pipeline("status", slow, ...user);
    expect(stdout).toMatch(/COMPUTING, at least \d+ s left\n/);
    expect(await asUser("cancel", slow)).toMatchObject({ code: 0 });
  });

  it("end where they are told, or with the receipts of a run", async () => {
    const composite = await asUser("submit", path("elf"), "-i", path("input"), "--composite", "--wait");
    expect(composite).toMatchObject({ data: { status: "SUCCESS", segments: 3 } });
    expect(composite.data.tasks.map(({ kind }: { kind: string }) => kind)).not.toContain("agg");
    const none = await asUser("submit", path("elf"), "--from", "agg");
    expect(none.error.message).toContain("receipt_inputs should not empty");
    await writeFile(path("receipt"), "of an earlier run");
    const from = ["--from", "agg", "--receipt-input", path("receipt")];
    const wrapped = await asUser("submit", path("elf"), "-i", path("input"), ...from, "--wait");
    // It wraps what it is given, which the check finds not to be of this input.
    expect(wrapped).toMatchObject({
      code: 1,
      error: { message: expect.stringContaining("not of these segments") },
    });
  });

  it("send the files of a block, and receipts that the program verifies", async () => {
    for (const [name, text] of Object.entries({
      header: "a header",
      txs: "all of them",
      other: "of another",
    }))
      await writeFile(path(name), text);
    const block = ["--block", path("header"), path("txs"), "--block-no", "7"];
    const args = [path("elf"), ...block, "--receipt", path("other"), "--target", "split"];
    const { proofId } = (await asUser("submit", ...args)).data;
    const { rows } = await net.database.query<{ context: string }>(
      "select context from stage_task where id = $1",
      [proofId],
    );
    const { files, receipt_inputs_path: receipts } = JSON.parse(rows[0]!.context);
    const folder = path(`stage/proof/${proofId}/0_7`);
    expect(files).toMatchObject({
      [`${folder}/header`]: sha256("a header"),
      [`${folder}/txs`]: sha256("all of them"),
    });
    expect(await readFile(receipts, "utf8")).toContain("of another");
  });

  it.each<[string[], string]>([
    [["submit", "elf", "--block", "a/one", "b/one"], "--block has two files named one: rename one."],
    [["submit", "elf", "--block-no", "-1"], "--block-no wants a whole number."],
    [["submit", "elf", "-o", "proof"], "-o needs --wait; or fetch the proof later with 'pipeline result'."],
    [["submit", "elf", "--wait", "--timeout", "0"], "--timeout wants a number of seconds above 0."],
    [["result", "run"], "Name a file for the proof with -o."],
  ])("%j is a wrong command line", async (args, problem) => {
    const { code, stderr } = await pipeline(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(problem);
  });

  it("work for users, who are added and removed", async () => {
    const change = (action: string, address: string) =>
      pipeline("user", action, address, "-c", path("stage.toml"));
    expect(await change("remove", USER)).toMatchObject({
      ...{ code: 0, stderr: "", stdout: `May no longer submit runs: ${USER}\n` },
    });
    expect((await asUser("list")).error.message).toContain(`pipeline user add ${USER}`);
    expect(await change("add", `0x${USER.toLowerCase()}`)).toMatchObject({
      ...{ code: 0, stderr: "", stdout: `May submit runs: ${USER}\n` },
    });
    expect(await asUser("list")).toMatchObject({ code: 0 });
    const wrong = await change("add", "0x12");
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("0x12 is no address") });
  });
});
