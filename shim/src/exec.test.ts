import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { MAX_PROOF_BYTES } from "./exec.ts";

const root = mkdtempSync(join(tmpdir(), "shim-exec-"));
const cli = fileURLToPath(new URL("./cli.ts", import.meta.url));
const TASK = JSON.stringify({ id: "t1", args: ["-n", "/workspace/in.txt"], files: ["/workspace/in.txt"] });
let runs = 0;

afterAll(() => rmSync(root, { recursive: true, force: true }));

function start(args: readonly string[], task = TASK) {
  const workspace = join(root, `ws${++runs}`);
  mkdirSync(workspace);
  writeFileSync(join(workspace, "task.json"), task);
  writeFileSync(join(workspace, "in.txt"), "input\n");
  const child = spawn(process.execPath, ["--import", "tsx", cli, "exec", ...args], {
    env: { ...process.env, GEVULOT_WORKSPACE: workspace, TSX_DISABLE_CACHE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 50_000,
    killSignal: "SIGKILL",
  });
  const text = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    text.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    text.stderr += chunk;
  });
  const ended = once(child, "close").then(([code]: unknown[]) => {
    const path = join(workspace, "task_result.json");
    const result = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
    return { code, result, ...text };
  });
  return { child, workspace, text, ended };
}

const SHOW = ["sh", "-c", 'printf "%s|" "$@"', "show"];
const proofOf = (result: { Ok: { data: number[] } }) => Buffer.from(result.Ok.data).toString();

test.each([
  ["come last", [], "-n|WS/in.txt|"],
  ["stand where {args} stands", ["a", "{args}", "b"], "a|-n|WS/in.txt|b|"],
  ["stand there once", ["{args}", "{args}"], "-n|WS/in.txt|{args}|"],
  ["in /workspace are real paths", ["/workspace", "/workspace/x", "/tmp/x"], "WS|WS/x|/tmp/x|-n|WS/in.txt|"],
])("arguments %s", async (_name, args, wanted) => {
  const { workspace, ended } = start(["--", ...SHOW, ...args]);
  const { code, result } = await ended;
  expect(proofOf(result)).toBe(wanted.replaceAll("WS", workspace));
  expect(code).toBe(0);
});

test("a program as it is: its standard output is the proof, byte for byte", async () => {
  const { code, result, stdout } = await start(["--", "cat"], TASK.replace('"-n",', "")).ended;
  expect(result).toEqual({ Ok: { id: "t1", data: [...Buffer.from("input\n")], files: [] } });
  expect([code, stdout]).toEqual([0, ""]);
});

test("a file is the proof, others are handed back, the standard output is the console's", async () => {
  const script = `printf '\\000\\377' >"$GEVULOT_WORKSPACE/p"; echo a >"$GEVULOT_WORKSPACE/a"; cp "$2" "$GEVULOT_WORKSPACE/b"; echo working`;
  const options = ["--proof-file", "p", "--output", "a", "--output", "/workspace/b"];
  const { code, result, stdout } = await start([...options, "--", "sh", "-c", script, "x"]).ended;
  expect(result).toEqual({ Ok: { id: "t1", data: [0, 255], files: ["/workspace/a", "/workspace/b"] } });
  expect([code, stdout]).toEqual([0, "working\n"]);
});

const failures: readonly [name: string, args: readonly string[], message: string][] = [
  [
    "its exit code and last words",
    ["--", "sh", "-c", "echo no proof >&2; exit 3"],
    "sh ended with exit code 3: no proof",
  ],
  ["its signal", ["--", "sh", "-c", "kill -SEGV $$"], "sh was ended by SIGSEGV (COMMAND_FAILED)"],
  ["no such program", ["--", "/none/prover"], "/none/prover can't be started: there is no such program"],
  ["may not be run", ["--", "/etc/passwd"], "/etc/passwd can't be started: EACCES"],
  ["no proof file", ["--proof-file", "p", "--", "true"], "the program did not write it (PROOF_MISSING)"],
  [
    "a folder as proof",
    ["--proof-file", "p", "--", "sh", "-c", 'mkdir "$GEVULOT_WORKSPACE/p"'],
    "not a regular file",
  ],
  ["a proof outside", ["--proof-file", "../p", "--", "true"], "(PATH_OUTSIDE)"],
  ["no output file", ["--output", "o", "--", "true"], "(RESULT_FILE_MISSING)"],
  ["more proof than fits", ["--", "sh", "-c", "yes"], `more than ${MAX_PROOF_BYTES} bytes`],
];
test.each(failures)("a failure tells %s", async (_name, args, message) => {
  const { code, result } = await start(args).ended;
  expect(result.Err).toContain(message);
  expect(code).toBe(1);
});

test("of much on the standard error the end is told, and all goes to the console", async () => {
  const { result, stderr } = await start([
    "--",
    "sh",
    "-c",
    "yes line | head -n 9999 >&2; echo end >&2; exit 1",
  ]).ended;
  expect(result.Err.length).toBeLessThan(6_000);
  expect(result.Err).toContain("line\nend (COMMAND_FAILED)");
  expect(stderr.length).toBeGreaterThan(5 * 9999);
});

test("what the program leaves running does not hold its result back", async () => {
  const { result } = await start(["--", "sh", "-c", "sleep 300 & echo $!"]).ended;
  expect(process.kill(Number(proofOf(result)), "SIGKILL")).toBe(true);
});

test("a signal reaches the program, which may still end well", async () => {
  const script = "trap 'echo saved; exit 0' TERM; echo ready >&2; while :; do sleep 0.05; done";
  const { child, text, ended } = start(["--", "sh", "-c", script]);
  await expect.poll(() => text.stderr).toContain("ready");
  child.kill("SIGTERM");
  const { code, result } = await ended;
  expect(proofOf(result)).toBe("saved\n");
  expect(code).toBe(0);
});

test("a link as output is refused as ever", async () => {
  const run = start(["--output", "l", "--", "true"]);
  symlinkSync("in.txt", join(run.workspace, "l"));
  expect((await run.ended).result.Err).toContain("(RESULT_FILE_LINK)");
});

test.each([
  ["no program", [], "Give the program after --."],
  ["an unknown option", ["--proof", "p", "--", "true"], "Unknown argument: proof"],
  ["an option without its value", ["--proof-file", "--", "true"], "proof-file"],
])("usage: %s", async (_name, args, message) => {
  const { code, result, stderr } = await start(args).ended;
  expect(stderr).toContain(message);
  expect([code, result]).toEqual([2, null]);
});
