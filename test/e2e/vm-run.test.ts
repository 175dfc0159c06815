import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { isGevulotError } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { binPath, type CliResult, runCli } from "../fixtures/cli.ts";

let dir = "";
let volumes = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-e2e-vm-run-"));
  volumes = join(dir, "volumes");
  const content = join(dir, "content");
  await mkdir(content);
  await writeFile(join(content, "params"), "40 GB of parameters\n");
  await writeFile(join(dir, "gpus.json"), '{"RunConfig": {"GPUs": 2}}');
  await cli("volume", "create", "params", "-s", "40g", "-d", content);
  await cli("volume", "create", "scratch", "-s", "64m");
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const env = () => ({ GEVULOT_VOLUMES_DIRECTORY: volumes });
async function cli(...args: string[]): Promise<CliResult> {
  return runCli("gevulot-devnet", args, { cwd: dir, env: env() });
}

/** A shell that runs a script of the workspace. */
const SHELL = ["/bin/busybox", "-a", "sh", "-a", "/workspace/run.sh"];
async function script(name: string, text: string): Promise<string[]> {
  await writeFile(join(dir, name), text);
  return ["vm", "run", ...SHELL, "--input", `${name}:/workspace/run.sh`];
}

describe("vm run", () => {
  test("volumes, exit code, console, trace; two read a volume at once", async () => {
    const write = await script(
      "write.sh",
      "cat /params/params; echo kept >/tmp/kept; echo no >/params/x; exit 3\n",
    );
    const read = await script("read.sh", "cat /params/params; echo $#; exit 0\n");
    const mounts = ["--mounts", "params:/params:ro"];
    const [first, second] = await Promise.all([
      cli(...write, ...mounts, "--mounts", "scratch:/tmp", "--trace", "trace.txt"),
      cli(...read, ...mounts, "--json"),
    ]);
    expect(first.stdout, first.stderr).toMatch(/^40 GB of parameters\r?\n/);
    expect(first.stdout).toContain("Read-only file system");
    expect(first.stderr).toMatch(/error: PROGRAM_FAILED: .* exit code 3\./);
    expect([first.code, second.code]).toEqual([3, 0]);
    const { data } = JSON.parse(second.stdout);
    expect(data).toMatchObject({
      outcome: { kind: "exited", exitCode: 0 },
      failure: { code: "RESULT_INVALID" },
    });
    expect(data.consoleTail).toContain("40 GB of parameters");
    const trace = await readFile(join(dir, "trace.txt"), "utf8");
    expect(trace).toMatch(/# kernel log\n[\s\S]*Linux version[\s\S]*# program\n[\s\S]*# kernel log\n/);
    expect(trace).toMatch(/open: .* path="\/params\/params"/);
    expect(trace).toMatch(/sys_openat\(/);
    // What the first left on its volume the next one finds; nobody holds it any more.
    const again = await script("again.sh", "cat /tmp/deep/er/kept\n");
    const third = await cli(...again, "--mounts", "scratch:/tmp/deep/er");
    expect(third.stdout).toContain("kept");
    expect((await cli("volume", "delete", "scratch")).code).toBe(0);
  });

  test("a console that nobody reads for a while costs nothing of the proof", async () => {
    // They fit into the guest's pipe: the program has ended before anybody reads on.
    const bytes = 60_000;
    const text = `sleep 1000 & head -c ${bytes} /dev/zero | tr '\\0' x\n`;
    const args = [...(await script("much.sh", text)), "--exec", "-o", "whole"];
    const child = spawn(process.execPath, [binPath("gevulot-devnet"), ...args], {
      cwd: dir,
      env: { ...process.env, ...env() },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    child.stdout.resume();
    child.kill("SIGSTOP");
    await delay(8_000);
    child.kill("SIGCONT");
    expect(await ended).toEqual([0, null]);
    const { Ok } = JSON.parse(await readFile(join(dir, "whole", "task_result.json"), "utf8"));
    expect(Ok.data).toHaveLength(bytes);
  });

  test("a reader that goes away ends it, without a trace; what a killed one left goes too", async () => {
    const tmp = join(dir, "tmp");
    await mkdir(tmp);
    const flood = async () => {
      const args = ["vm", "run", "/bin/busybox", "-a", "yes", "--exec", "--provider", "process"];
      const child = spawn(process.execPath, [binPath("gevulot-devnet"), ...args], {
        cwd: dir,
        env: { ...process.env, ...env(), TMPDIR: tmp },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let stderr = "";
      child.stderr.on("data", (chunk) => {
        stderr += chunk;
      });
      await once(child.stdout, "data");
      return { child, said: () => stderr };
    };
    const left = async () => (await readdir(tmp)).filter((name) => name.startsWith("gevulot-task-"));
    const killed = await flood();
    killed.child.kill("SIGKILL");
    await once(killed.child, "exit");
    expect(await left()).toHaveLength(1);
    const { child, said } = await flood();
    child.stdout.destroy();
    await once(child, "exit");
    expect(said()).not.toContain("EPIPE");
    expect(child.exitCode).toBe(1);
    expect(await left()).toEqual([]);
  });

  test("a program with the shim: files in, result out", async () => {
    const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
    const args = ["vm", "run", program, "--provider", "process", "--arg", "ok", "--arg", "a b", "-o", "out"];
    const ended = await cli(...args);
    expect(ended.stderr).toMatch(/result +8 bytes\nfile +\/workspace\/out\.txt /);
    expect([ended.code, ended.stdout]).toEqual([0, "mode ok\n"]);
    expect(await readFile(join(dir, "out", "out.txt"), "utf8")).toBe("a b");
    const { Ok } = JSON.parse(await readFile(join(dir, "out", "task_result.json"), "utf8"));
    expect(Buffer.from(Ok.data).toString()).toBe("done a b");
    const bare = ["vm", "run", program, "--provider", "process", "--arg"];
    const [idle, none, bad, lost] = await Promise.all([
      cli(...bare, "forever", "--idle-seconds", "1"),
      cli(...bare, "no-result"),
      cli(...bare, "bad-result"),
      cli(...bare, "missing-file"),
    ]);
    expect(idle.stderr).toMatch(/error: DEADLINE: The program did nothing for 1 s/);
    expect(none.stderr).toMatch(/no result +The program ended without leaving a result/);
    expect(bad.stderr).toMatch(/error: RESULT_INVALID: .*task_result\.json: Ok: no object/);
    expect(lost.stderr).toMatch(/error: RESULT_INVALID: .*none\.bin", which does not exist/);
    // Only what isn't there is no mistake.
    expect([idle, none, bad, lost].map(({ code }) => code)).toEqual([1, 0, 1, 1]);
  });

  test.each<[string, string[], RegExp]>([
    [
      "no such volume",
      ["--mounts", "none:/x"],
      /INPUT_MISSING: There is no volume none in .*volume create none/,
    ],
    ["an input without a place", ["--input", "write.sh"], /--input write\.sh can't be used/],
    ["an input outside", ["--input", "write.sh:/etc/x"], /not under \/workspace\//],
    [
      "a trace of a host process",
      ["--provider", "process", "--trace", "t"],
      /INPUT_MISSING: A host process can't be traced/,
    ],
    ["fewer GPUs than it asks for", ["-c", "gpus.json"], /error: The image asks for 2 GPUs .*--gpu-devices/],
    ["no time", ["--timeout-seconds", "0"], /--timeout-seconds must be more than 0/],
  ])("refused: %s", async (_name, args, message) => {
    const ended = await cli("vm", "run", ...SHELL, ...args);
    expect(ended.stderr).toMatch(message);
    expect(ended.code).not.toBe(0);
  });
});

test("an image takes a manifest's RunConfig and volumes; what it runs was settled before", async () => {
  const image = join(dir, "settled.img");
  const manifest = { Args: ["cat", "/params/params"], Exec: true };
  await buildImage({ program: "/bin/busybox", manifest, outputPath: image });
  const run = async (name: string, given: object) => {
    await writeFile(join(dir, name), JSON.stringify(given));
    return cli("vm", "run", image, "-c", name, "--provider", "process");
  };
  const gone = await run("later.json", { RunConfig: { CPUs: 1 }, Mounts: { params: "/params:ro" } });
  expect(gone.stderr).toContain("INPUT_MISSING: A host process can't mount volumes");
  const slow = join(dir, "slow.img");
  await buildImage({ program: "/bin/busybox", manifest: { Args: ["sleep", "60"] }, outputPath: slow });
  await writeFile(join(dir, "short.json"), '{"RunConfig": {"DeadlineSeconds": 1}}');
  const late = await cli("vm", "run", slow, "-c", "short.json", "--provider", "process");
  expect(late.stderr).toMatch(/error: DEADLINE: .*within 1 s, its image's DeadlineSeconds/);
});

test("refused: another workspace for an image", async () => {
  const ended = await cli("vm", "run", "some.img", "--mounts", "%1:/elsewhere");
  expect(ended.stderr).toMatch(/--mounts %1:… is for programs, and some\.img is an image/);
  expect(ended.code).toBe(1);
});

test("a deployed program finds its volume on the node, or fails with the reason; task run looks there too", async () => {
  const image = async (name: string, label: string, access = ":ro") => {
    const file = join(dir, `${name}.img`);
    const Args = ["cat", "/params/params", "/tmp/params"];
    const manifest = { Args, Mounts: { [label]: `/params${access}` }, Exec: true };
    await buildImage({ program: "/bin/busybox", manifest, outputPath: file });
    return { file, resources: { memMib: 128, cpus: 1 }, name };
  };
  const net: Devnet = await startDevnet({ volumesDirectory: volumes, memGb: 2 });
  try {
    const client = net.client();
    const without = await image("without", "lost");
    const { prover, verifier } = await client.deploy({
      name: "volumes",
      // One volume by the image, and one by the Deploy.
      prover: {
        ...(await image("with", "params")),
        volumes: [{ name: "params", path: "/tmp", readonly: true }],
      },
      verifier: without,
    });
    const good = await client.run({ steps: [{ program: prover.hash, args: [] }] });
    const { proofs } = await good.result();
    expect(new TextDecoder().decode(proofs[0]?.data)).toBe("40 GB of parameters\n".repeat(2));
    const writer = await client.deploy({
      name: "writes",
      prover: await image("writes", "params", ""),
      verifier: { ...without, volumes: [{ name: "absent", path: "/params" }] },
    });
    const hidden = { ...without, volumes: [{ name: "params", path: "/workspace/x" }] };
    await expect(client.deploy({ name: "hidden", prover: without, verifier: hidden })).rejects.toThrow(
      /"params" at \/workspace\/x and the mount at \/workspace hide each other/,
    );
    const bad: readonly (readonly [string, string])[] = [
      [verifier.hash, "There is no volume lost"],
      // Whoever may deploy must not change what others prove with.
      [writer.prover.hash, "The volume params is only to be read by tasks"],
      [writer.verifier.hash, "There is no volume absent"],
    ];
    for (const [program, reason] of bad) {
      const run = await client.run({ steps: [{ program, args: [] }] });
      const error: unknown = await run.result().catch((caught: unknown) => caught);
      expect(isGevulotError(error, "TASK_FAILED") && error.context.failure).toMatchObject({
        code: "INPUT_MISSING",
        message: expect.stringContaining(reason),
      });
    }
    await mkdir(join(dir, "ws"));
    await writeFile(join(dir, "ws", "task.json"), '{"id": "1", "args": [], "files": []}');
    const alone = await cli("task", "run", without.file, "--workspace", "ws");
    expect(alone.stderr).toContain(`There is no volume lost in ${volumes}`);
  } finally {
    await net.close();
  }
});
