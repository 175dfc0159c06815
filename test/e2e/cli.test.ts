import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, runCli } from "../fixtures/cli.ts";

/** The command line as a user of the existing one types it, against a devnet that runs programs as processes. */
const dir = mkdtempSync(join(tmpdir(), "cli-"));
const HASH = /[0-9a-f]{64}/;
const UNKNOWN = "1".repeat(64);
let net: Devnet;
let url: string;
let prover = "";
let verifier = "";

beforeAll(async () => {
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  await buildImage({
    program,
    outputPath: join(dir, "program.img"),
    manifest: { Mounts: { "%1": "/workspace" } },
  });
  net = await startDevnet({ provider: "process", memGb: 4 });
  url = net.nodes[0].rpcUrl;
});
afterAll(async () => {
  await net?.close();
  rmSync(dir, { recursive: true, force: true });
});

const gevulot = (...args: string[]): Promise<CliResult> => runCli("gevulot", args, { cwd: dir });
const onNet = (...args: string[]): Promise<CliResult> => gevulot(...args, "-j", url);

function hashAfter(text: string, label: string): string {
  const found = new RegExp(`^${label}(${HASH.source})\\.?$`, "m").exec(text)?.[1];
  if (found === undefined) throw new Error(`no "${label}" in: ${text}`);
  return found;
}

const tasks = (...args: string[]) =>
  JSON.stringify([
    { program: prover, cmd_args: args.map((name) => ({ name, value: "" })), inputs: [] },
    {
      program: verifier,
      cmd_args: [{ name: "ok", value: "checked" }],
      inputs: [{ Output: { source_program: prover, file_name: "/workspace/out.txt" } }],
    },
  ]);

async function send(...args: string[]): Promise<string> {
  const sent = await onNet("exec", "--tasks", tasks(...args), "-l", "127.0.0.1:0");
  expect(sent).toMatchObject({ code: 0, stderr: "" });
  return hashAfter(sent.stdout, "Programs send to execution correctly. Tx hash:");
}

describe("what the existing command line does, with its lines", () => {
  test("generate-key, show-public-key", async () => {
    const made = await gevulot("generate-key");
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const key = /^Key generated {2}pubkey:(04[0-9a-f]{128}) and saved in file:localkey\.pki\n$/.exec(
      made.stdout,
    );
    expect((await readFile(join(dir, "localkey.pki"))).length).toBe(32);
    expect((await gevulot("show-public-key")).stdout).toBe(`Public key: ${key?.[1]}\n`);
    const shown = await gevulot("show-public-key", "-k", "localkey.pki", "--json");
    expect(JSON.parse(shown.stdout)).toEqual({
      schemaVersion: 1,
      command: "show-public-key",
      status: "ok",
      data: { publicKey: key?.[1] },
      warnings: [],
      error: null,
    });
  });

  test("calculate-hash", async () => {
    writeFileSync(join(dir, "empty"), "");
    expect(await gevulot("calculate-hash", "-f", "empty")).toMatchObject({
      code: 0,
      stdout: "The hash of the file is: af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262\n",
    });
  });

  test("deploy from files, then by the hash of what is deployed", async () => {
    const deployed = await onNet(
      ...["deploy", "-n", "misbehave", "-p", "program.img", "-v", "program.img", "-l", "127.0.0.1:0"],
      ...["--provername", "the prover", "--verifiername", "the verifier"],
      ...["--provermem", "384", "--provercpus", "1", "--verifiermem", "384", "--verifiercpus", "1"],
    );
    expect(deployed).toMatchObject({ code: 0, stderr: "" });
    expect(deployed.stdout).toMatch(
      /^Prover hash:[0-9a-f]{64}\nVerifier hash:[0-9a-f]{64}\.\nTx Hash:[0-9a-f]{64}\n$/,
    );
    prover = hashAfter(deployed.stdout, "Prover hash:");
    verifier = hashAfter(deployed.stdout, "Verifier hash:");
    const again = await onNet("deploy", "-n", "again", "-p", prover, "-v", verifier, "--json");
    const { data } = JSON.parse(again.stdout);
    expect(data).toMatchObject({
      prover: { hash: prover, name: "the prover", resources: { memMib: 384 } },
      verifier: { hash: verifier },
    });
    const shown = await onNet("get-tx", data.hash);
    expect(shown.stdout.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(shown.stdout)).toMatchObject({
      hash: data.hash,
      payload: { Deploy: { name: "again" } },
    });
  });

  test("exec, print-tx-tree", async () => {
    const run = await send("ok", "1");
    await expect
      .poll(async () => (await onNet("print-tx-tree", run)).stdout, { timeout: 30_000 })
      .toMatch(new RegExp(`^Root: ${run}\n\tNode: ${HASH.source}\n\t\tLeaf: ${HASH.source}\n$`));
  });
});

describe("what it does beyond that", () => {
  test("run --wait shows the results and saves the files; status, list and logs show it", async () => {
    writeFileSync(join(dir, "tasks.json"), tasks("ok", "2"));
    const ran = await onNet("run", "-t", "@tasks.json", "--wait", "--output-dir", "out", "-l", "127.0.0.1:0");
    expect(ran.code).toBe(0);
    const run = hashAfter(ran.stdout, "Programs send to execution correctly. Tx hash:");
    expect(ran.stdout).toContain(`  data (base64): ${Buffer.from("done 2").toString("base64")}`);
    const saved = /file \/workspace\/out\.txt: (.+)$/m.exec(ran.stdout)?.[1] ?? "";
    expect(await readFile(join(dir, saved), "utf8")).toBe("2");

    const status = await onNet("status", run);
    expect(status.stdout).toMatch(`Run ${run}: complete`);
    const listed = JSON.parse((await onNet("list", "runs", "--limit", "1", "--json")).stdout);
    expect(listed.data.items).toMatchObject([{ run, state: "complete", proofs: 1, verifications: 1 }]);
    const older = await onNet("list", "tasks", "--state", "done", "--before", listed.data.next);
    expect(older.stdout).toContain(`step 0 proof "the prover"  done`);
    expect((await onNet("list", "programs")).stdout).toContain(prover);
    expect((await onNet("logs", run)).stdout).toContain("mode ok");
  });

  test("a run that fails is exit code 5, one that is not done in time 6, and can be cancelled", async () => {
    const failed = await onNet("run", "-t", tasks("throw"), "--wait", "-l", "127.0.0.1:0", "--json");
    expect(failed.code).toBe(5);
    const { status, data, error } = JSON.parse(failed.stdout);
    expect([status, data, error.code]).toEqual(["error", null, "TASK_FAILED"]);
    expect(error.message).toContain("the program's own message");

    const late = await onNet("run", "-t", tasks("forever"), "--wait", "--timeout", "3", "-l", "127.0.0.1:0");
    expect([late.code, late.stderr]).toEqual([6, expect.stringContaining("has no result after 3000 ms")]);
    const run = hashAfter(late.stdout, "Programs send to execution correctly. Tx hash:");
    expect((await onNet("cancel", run)).stdout).toMatch(/^Cancel sent\. Tx hash:[0-9a-f]{64}\n$/);
    await expect
      .poll(async () => (await onNet("status", run)).stdout, { timeout: 15_000 })
      .toContain("Failed: CANCELLED");
  });

  test("the events of a run come to the app, and go on in another process", async () => {
    const handle = net.client().getRun(await send("ok", "3"));
    const names: string[] = [];
    for await (const event of handle.events({ signal: AbortSignal.timeout(60_000) })) names.push(event.name);
    expect(names[0]).toBe("submitted");
    expect(names.filter((name) => name === "scheduled")).toHaveLength(2);
    expect(names.indexOf("proof")).toBeLessThan(names.indexOf("verifying"));
    expect(names.at(-1)).toBe("verified");
  });

  test("completion prints a script", async () => {
    const { code, stdout } = await gevulot("completion");
    expect([code, stdout]).toEqual([0, expect.stringContaining("gevulot --get-yargs-completions")]);
  });
});

describe("what a new user may type", () => {
  test.each<[string[], number, RegExp]>([
    [[], 2, /Give a command\.\nSee gevulot --help/],
    [["deplyo"], 2, /deplyo/],
    [["get-tx"], 2, /hash|arguments/],
    [["get-tx", UNKNOWN, "--jsonulr", "x"], 2, /jsonulr/],
    [["get-tx", "0x12"], 1, /"0x12" is not a hash; give 64 hex digits without 0x/],
    [["get-tx", UNKNOWN, "-j", "localhost"], 2, /--jsonurl: "localhost" is no address; give one like http/],
    [["get-tx", UNKNOWN, "-j", "http://127.0.0.1:1"], 3, /Can't reach the node .* Check that it runs/],
    [["get-tx", UNKNOWN, "--rpctimeout", "x"], 2, /--rpctimeout: give a number of seconds/],
    [["deploy", "-n", "x"], 2, /prover, verifier/],
    [
      ["deploy", "-n", "x", "-p", "none.img", "-v", "none.img"],
      1,
      /Can't read the file none\.img \(ENOENT\)/,
    ],
    [["deploy", "-n", "x", "-p", "empty", "-v", "empty", "-l", "here"], 2, /--listen-addr: "here"/],
    [["deploy", "-n", "x", "-p", "empty", "-v", "empty", "--provermem", "-1"], 1, /its memMib is -1/],
    [
      ["deploy", "-n", "x", "-p", "empty", "-v", "empty", "-k", "none.pki"],
      1,
      /no key file none\.pki; make one/,
    ],
    [["exec", "-t", "{"], 2, /--tasks: .*JSON/],
    [["exec", "-t", "[{}]"], 2, /--tasks: .*\[0\]\.program/],
    [["exec", "-t", '[{"program":"zz"}]'], 2, /"zz" is not a hash/],
    [["exec", "-t", "@none.json"], 2, /can't read none\.json/],
    [["run", "-t", "[]", "--timeout", "0"], 2, /--timeout: give a number of seconds above 0/],
    [["calculate-hash", "-f", "none"], 1, /Can't read the file none \(ENOENT\)/],
    [["calculate-hash", "-f", "."], 1, /EISDIR/],
    [["show-public-key", "-k", "empty"], 1, /empty is not a key file/],
    [["show-public-key", "-k", "."], 1, /./],
    [["generate-key"], 1, /localkey\.pki exists already and is left as it is/],
    [["cancel", "zz"], 1, /"zz" is not a hash/],
    [["list", "things"], 2, /things/],
  ])("%j", async (args, code, message) => {
    const result = await gevulot(...args);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/^ +at /m);
    expect([result.code, result.stdout]).toEqual([code, ""]);
    expect(result.stderr).toMatch(/\n(See gevulot|More: docs\/errors\.md#)/);
  });

  test.each([
    [["get-tx", UNKNOWN], 4, /NotFound|not found|no transaction/i],
    [["status", UNKNOWN], 4, /Run/],
    [["print-tx-tree", UNKNOWN], 4, /./],
    [["cancel", UNKNOWN], 4, /./],
    [["deploy", "-n", "x", "-p", UNKNOWN, "-v", UNKNOWN], 4, /program/],
    [["list", "runs", "--limit", "0"], 1, /limit/],
    [["list", "runs", "--author", "me"], 1, /author/],
  ] as [string[], number, RegExp][])("the node refuses %j", async (args, code, message) => {
    const result = await onNet(...args);
    expect([result.code, result.stderr]).toEqual([code, expect.stringMatching(message)]);
  });

  test("errors as JSON, also of the command line itself", async () => {
    const wrong = await gevulot("get-tx", "zz", "--json");
    expect(JSON.parse(wrong.stdout)).toMatchObject({ status: "error", error: { code: "HASH_INVALID" } });
    const usage = await gevulot("--json");
    expect([usage.code, JSON.parse(usage.stdout).error]).toEqual([
      2,
      { code: "USAGE", message: "Give a command." },
    ]);
  });
});
