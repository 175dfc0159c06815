import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { binPath, type CliResult, runCli } from "../fixtures/cli.ts";

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

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What a command shows on a terminal. */
/** What a command shows on a terminal, whether it succeeds or not. */
async function runScript(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)("script", ["-qc", command, "/dev/null"], { cwd: dir });
  return stdout;
}

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
      .poll(async () => (await onNet("print-tx-tree", run)).stdout)
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

    const late = await onNet("run", "-t", tasks("forever"), "--wait", "--timeout", "5", "-l", "127.0.0.1:0");
    expect([late.code, late.stderr]).toEqual([6, expect.stringContaining("has no result after 5000 ms")]);
    const run = hashAfter(late.stdout, "Programs send to execution correctly. Tx hash:");
    expect((await onNet("cancel", run)).stdout).toMatch(/^Cancel sent\. Tx hash:[0-9a-f]{64}\n$/);
    await expect.poll(async () => (await onNet("status", run)).stdout).toContain("Failed: CANCELLED");
    const again = await onNet("cancel", run);
    expect([again.code, again.stderr]).toEqual([
      4,
      expect.stringContaining("has ended already: it failed, CANCELLED"),
    ]);
  });

  test("the events of a run come to the app, and go on in another process", async () => {
    const handle = net.client().getRun(await send("ok", "3"));
    const names: string[] = [];
    for await (const event of handle.events({ signal: AbortSignal.timeout(150_000) })) names.push(event.name);
    expect(names[0]).toBe("submitted");
    expect(names.filter((name) => name === "scheduled")).toHaveLength(2);
    expect(names.indexOf("proof")).toBeLessThan(names.indexOf("verifying"));
    expect(names.at(-1)).toBe("verified");
  });

  test("a local file is served under the hash of its path, at the address of --listen-addr", async () => {
    const port = await freePort();
    const deployed = await onNet(
      ...["deploy", "-n", "x", "-p", "program.img", "-v", "program.img", "--provername", "p", "--json"],
      ...["-l", "127.0.0.1:0", "-l", `127.0.0.1:${port}`, "--advertise", "localhost"],
      ...["--verifiervolume", "params:/tmp", "--verifiervolume", "more:/more:ro"],
    );
    const { prover, verifier } = JSON.parse(deployed.stdout).data;
    const { imageFileUrl } = prover;
    const pathHash = createHash("sha3-256").update("program.img").digest("hex");
    expect(imageFileUrl).toBe(`http://localhost:${port}/${pathHash}`);
    expect(verifier.imageFileUrl).toBe(`${imageFileUrl}#volume=params:/tmp&volume=more:/more:ro`);
  });

  test("with --files upload the node keeps the files itself", async () => {
    const deploy = [
      "deploy",
      "-n",
      "x",
      "-p",
      "program.img",
      "-v",
      "program.img",
      "--provername",
      "u",
      "--json",
    ];
    const deployed = await onNet(...deploy, "--files", "upload");
    const { imageFileUrl, imageFileChecksum } = JSON.parse(deployed.stdout).data.prover;
    expect(imageFileUrl).toBe(`${net.nodes[0].httpUrl}/files/${imageFileChecksum}`);
  });

  test("progress goes to a terminal, and nowhere else", async (context) => {
    if (process.platform !== "linux") return context.skip("needs the script command of util-linux");
    const large = Buffer.alloc(400 * 2 ** 20);
    // As far as the command line looks, it is a disk.
    large.set([0x55, 0xaa], 510);
    await writeFile(join(dir, "large.img"), large);
    const words = [
      "deploy",
      "-n",
      "x",
      "-p",
      "large.img",
      "-v",
      "program.img",
      "-j",
      url,
      "-l",
      "127.0.0.1:0",
    ];
    const shown = await runScript(`${process.execPath} ${binPath("gevulot")} ${words.join(" ")}`);
    const [, ...drawn] = shown.split("\r\u001b[2K");
    expect(drawn).toContainEqual(
      expect.stringMatching(/^(hashing|the node fetches) large\.img: \d+% of 400\.0 MiB$/),
    );
    expect(drawn.at(-1)).toMatch(/^error: .*"large\.img" can't be deployed: it is not an image made by/);
    await rm(join(dir, "large.img"));
  });

  test.each(["bash", "zsh", "fish"])("completion prints a script for %s", async (shell) => {
    const { code, stdout } = await gevulot("completion", shell);
    expect([code, stdout]).toEqual([0, expect.stringContaining("--get-yargs-completions")]);
    expect(stdout).toContain("gevulot-cli");
  });

  test("bash completes commands, options and what they take", async () => {
    const bin = join(dir, "bin");
    await mkdir(bin);
    await symlink(binPath("gevulot"), join(bin, "gevulot"));
    const complete = (...words: string[]) =>
      `COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _gevulot_completions; echo "\${COMPREPLY[*]}";`;
    const script = [
      "source <(gevulot completion bash);",
      complete("gevulot", "dep"),
      complete("gevulot", "deploy", "--verifierm"),
      complete("gevulot", "list", "ru"),
    ];
    const { stdout } = await promisify(execFile)("bash", ["-c", script.join("\n")], {
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    });
    expect(stdout).toBe("deploy\n--verifiermem\nruns\n");
  });
});

describe("what a new user may type", () => {
  test.each<[string[], number, RegExp]>([
    [[], 2, /Give a command\.\nSee gevulot --help/],
    [["deplyo"], 2, /There is no command or option "deplyo"/],
    [["get-tx"], 2, /missing after the command: gevulot get-tx <hash>\nSee gevulot get-tx --help/],
    [["get-tx", UNKNOWN, "--jsonulr", "x"], 2, /jsonulr/],
    [["get-tx", "0x12"], 2, /"0x12" is not a hash; give 64 hex digits without 0x/],
    [["get-tx", UNKNOWN, "-j", "localhost"], 2, /--jsonurl: "localhost" is no address; give one like http/],
    [["get-tx", UNKNOWN, "-j", "http://127.0.0.1:1"], 3, /Can't reach the node .* Check that it runs/],
    [["get-tx", UNKNOWN, "--rpctimeout", "x"], 2, /--rpctimeout: give a number of seconds/],
    [["deploy", "-n", "x"], 2, /Give --prover and --verifier\.\nSee gevulot deploy --help/],
    [
      ["deploy", "-n", "x", "-p", "none.img", "-v", "none.img"],
      1,
      /Can't read the file none\.img \(ENOENT\)/,
    ],
    [["deploy", "-n", "x", "-p", "empty", "-v", "empty", "-l", "here"], 2, /--listen-addr: "here"/],
    [
      ["deploy", "-n", "x", "-p", "program.img", "-v", "program.img", "--provermem", "-1"],
      1,
      /its memMib is -1/,
    ],
    [
      ["deploy", "-n", "x", "-p", "empty", "-v", "empty", "--provermem", "2g"],
      2,
      /--provermem: give a whole/,
    ],
    [
      ["deploy", "-n", "x", "-p", "program.img", "-v", UNKNOWN, "--verifiervolume", "params"],
      2,
      /--verifiervolume: "params" is no volume and its path; write it as params:/,
    ],
    [
      ["deploy", "-n", "x", "-p", UNKNOWN, "-v", UNKNOWN, "--provervolume", "params:/tmp"],
      1,
      /The prover can't be deployed: its volumes are part of what was deployed/,
    ],
    [
      ["deploy", "-n", "x", "-p", "program.img", "-v", "program.img", "-k", "none.pki"],
      1,
      /no key file none\.pki; make one/,
    ],
    [["exec", "-t", "{"], 2, /--tasks: .*JSON/],
    [["exec", "-t", "[{}]"], 2, /--tasks: .*\[0\]\.program/],
    [["exec", "-t", '[{"program":"zz"}]'], 2, /"zz" is not a hash/],
    [["exec", "-t", "@none.json"], 2, /can't read none\.json/],
    [["run", "-t", "[]", "--timeout", "0"], 2, /--timeout: give a number of seconds above 0/],
    [["run", "-t", "[]", "--output-dir", "x"], 2, /--output-dir: .* give --wait too/],
    [["calculate-hash", "-f", "none"], 1, /Can't read the file none \(ENOENT\)/],
    [["calculate-hash", "-f", "."], 1, /EISDIR/],
    [["show-public-key", "-k", "empty"], 1, /empty is not a key file/],
    [["show-public-key", "-k", "."], 1, /./],
    [["generate-key"], 1, /localkey\.pki exists already and is left as it is/],
    [["cancel", "zz"], 2, /"zz" is not a hash/],
    [["list", "things"], 2, /what: give one of "runs", "programs", "tasks"; it is "things"/],
    [["list", "runs", "--limit", "0"], 2, /limit: give a whole number from 1 to 100; it is 0/],
    [["list", "runs", "--limit", "many"], 2, /limit: give a whole number .* it is NaN/],
    [["exec", "-t", "@."], 2, /can't read \. \(EISDIR\)/],
    [
      ["generate-key", "-k", "/proc/none/key"],
      1,
      /Can't write the key file \/proc\/none\/key \(ENOENT\); choose/,
    ],
    [["get-tx", UNKNOWN, "--token", "a b"], 2, /--token: give the token's text/],
    [["deploy", "-n", "x", "-p", "empty", "-v", "empty", "--files", "x"], 2, /files: give one of "auto"/],
    [["deploy", "-n", "x", "-p", "empty", "-v", "empty", "--upload-url", "x"], 2, /--upload-url: "x" is no/],
    [["explain", "nothing"], 2, /there is no error "NOTHING"/],
    [["completion", "tcsh"], 2, /shell: give one of "bash", "zsh", "fish"/],
  ])("%j", async (args, code, message) => {
    const result = await gevulot(...args);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/^ +at /m);
    expect([result.code, result.stdout]).toEqual([code, ""]);
    expect(result.stderr).toMatch(/\n(See gevulot|More: gevulot explain [A-Z])/);
  });

  test.each([
    [["get-tx", UNKNOWN], 4, /NotFound|not found|no transaction/i],
    [["status", UNKNOWN], 4, /Run/],
    [["print-tx-tree", UNKNOWN], 4, /./],
    [["cancel", UNKNOWN], 4, /./],
    [["deploy", "-n", "x", "-p", UNKNOWN, "-v", UNKNOWN], 4, /program/],
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
