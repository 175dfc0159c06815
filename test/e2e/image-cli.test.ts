import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, open, readdir, rm, watch, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { binPath, runCli } from "../fixtures/cli.ts";

const TOOL_MANIFEST = {
  Program: "tool",
  Mounts: { "%1": "/workspace", params: "/params:ro" },
  RunConfig: { Memory: "1g", CPUs: 2, GPUs: 1 },
  Exec: { ProofFile: "p.bin", Outputs: ["out/*"] },
  ManifestPassthrough: { cwd: "/root" },
};

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-e2e-image-cli-"));
  await writeFile(join(folder, "prover.mjs"), 'console.log("hello");\n');
  const built = await runCli("gevulot-devnet", ["image", "build", "prover.mjs"], { cwd: folder });
  expect(built.stdout).toContain(`Bootable image file:${join(folder, "prover.img")}`);
  await copyFile("/bin/busybox", join(folder, "tool"));
  await writeFile(join(folder, "tool.json"), JSON.stringify(TOOL_MANIFEST));
  const named = await runCli("gevulot-devnet", ["image", "build", "-c", "tool.json"], { cwd: folder });
  expect(named.stdout).toContain(`Bootable image file:${join(folder, "tool.img")}`);
  await copyFile(join(folder, "prover.img"), join(folder, "damaged.img"));
  const file = await open(join(folder, "damaged.img"), "r+");
  await file.write(Buffer.alloc(1000, 1), 0, 1000, 5 * 2 ** 20);
  await file.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const image = (...args: string[]) => runCli("gevulot-devnet", ["image", ...args], { cwd: folder });

test.each<[string[], number, RegExp, RegExp]>([
  [["ls", "prover.img"], 0, /^\/prover\.mjs$/m, /^$/],
  [["ls", "-l", "prover.img", "usr/bin"], 0, /^-rwxr-xr-x +\d+ \/usr\/bin\/node\n$/, /^$/],
  [["ls", "prover.img", "--json"], 0, /^\{"schemaVersion":1,"command":"image ls","status":"ok"/, /^$/],
  [["ls", "prover.img", "/none"], 1, /^$/, /^error: \/none .* no such file/],
  [["cat", "prover.img", "prover.mjs"], 0, /console\.log\("hello"\)/, /^$/],
  [["cat", "prover.img", "/etc"], 1, /^$/, /^error: .* a folder/],
  [["cat", "prover.img"], 2, /^$/, /^error: Something is missing .*image cat <file> <path>\nSee .* --help/],
  [
    ["inspect", "tool.img"],
    0,
    /^cwd +\/root\nexec +the proof is p\.bin, with the files out\/\*\n.*\nvolume +params at \/params, read-only\n(.*\n)*resources +1024 MiB, 2 CPUs, 1 GPU$/m,
    /^$/,
  ],
  [["verify", "prover.img"], 0, /^(ok .*\n){6}$/, /^$/],
  [["verify", "damaged.img"], 1, /^DAMAGED kernel /m, /^error: damaged\.img .*kernel.*download it again\.$/m],
  [["verify", "damaged.img", "--json"], 1, /"code":"IMAGE_INVALID"/, /^$/],
  [["verify", "prover.mjs"], 1, /^$/, /^error: .* not an image made by/],
  [["verify", "none.img"], 1, /^$/, /^error: .* can't be opened \(ENOENT\)/],
  [
    ["check", "--gpu", "prover.img", "--json"],
    1,
    /"status":"error","data":\{"findings":\[\{"part":"GPU".*"code":"IMAGE_LACKS"/,
    /^$/,
  ],
  [["build"], 2, /^$/, /^error: Give the program's file, a manifest .*\nSee .* image build --help\.\n$/],
  [[], 2, /^$/, /^error: Say what to do: image build, check, inspect, ls, cat, cp, verify or template\./],
])("image %j", async (args, code, stdout, stderr) => {
  const result = await image(...args);
  expect(result.stderr).toMatch(stderr);
  expect(result.stdout).toMatch(stdout);
  expect(result.code).toBe(code);
});

/** Ends a command by `signal` as soon as it has begun a file of such a name in a folder. */
async function stopAt(args: string[], place: string, name: RegExp, signal: NodeJS.Signals) {
  await mkdir(place, { recursive: true });
  const begun = watch(place, { signal: AbortSignal.timeout(30_000) });
  const child = spawn(process.execPath, [binPath("gevulot-devnet"), ...args], { cwd: folder });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  for await (const { filename } of begun) if (name.test(filename ?? "")) break;
  child.kill(signal);
  const [code] = await once(child, "close");
  return { code, stderr, left: (await readdir(place)).filter((one) => name.test(one)) };
}

test.each([
  ["image build", ["image", "build", "prover.mjs", "-o", "stopped/x.img"], "stopped", /\.tmp-/],
  [
    "volume create",
    ["volume", "create", "v", "-d", "many", "--volumes-directory", "volumes"],
    "volumes",
    /^\.new-/,
  ],
] as const)("%s leaves nothing when it is told to stop", async (_, args, place, name) => {
  await mkdir(join(folder, "many"), { recursive: true });
  await Promise.all(Array.from({ length: 3_000 }, (_, at) => writeFile(join(folder, "many", `${at}`), "")));
  const stopped = await stopAt([...args], join(folder, place), name, "SIGTERM");
  expect(stopped).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^error: It was stopped by SIGTERM, and nothing is left of it/m),
    left: [],
  });
});
