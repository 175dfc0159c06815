import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = mkdtempSync(join(tmpdir(), "shim-test-"));
// A program that gives up its privileges must still get at its workspace.
chmodSync(root, 0o755);
const shimFile = join(root, "shim.mjs");
let runs = 0;

beforeAll(async () => {
  const entry = fileURLToPath(new URL("./index.ts", import.meta.url));
  await build({ entryPoints: [entry], outfile: shimFile, bundle: true, platform: "node", format: "esm" });
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
  readonly workspace: string;
  readonly resultText: string | null;
  readonly tookMs: number;
}

interface Setup {
  /** `task.json`'s text; `null` writes none. */
  readonly task?: string | null;
  /** Prepares the workspace before the start. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly nodeArgs?: readonly string[];
}

const TASK = JSON.stringify({ id: "t1", args: ["--fast", "x"], files: ["/workspace/in/a.txt"] });

/** Runs a program with the given body as a real process in a workspace of its own. */
async function runProgram(body: string, setup: Setup = {}): Promise<Ended> {
  const folder = join(root, `run${++runs}`);
  const workspace = join(folder, "ws");
  mkdirSync(join(workspace, "in"), { recursive: true });
  writeFileSync(join(workspace, "in/a.txt"), "input");
  for (const [name, text] of Object.entries(setup.files ?? {})) writeFileSync(join(workspace, name), text);
  if (setup.task !== null) writeFileSync(join(workspace, "task.json"), setup.task ?? TASK);
  const program = join(folder, "program.mjs");
  writeFileSync(
    program,
    `import { run } from ${JSON.stringify(shimFile)};\nimport fs from "node:fs";\nawait run(${body});\n`,
  );
  const started = performance.now();
  const child = spawn(process.execPath, [...(setup.nodeArgs ?? []), program], {
    env: { ...process.env, GEVULOT_WORKSPACE: workspace, ...setup.env },
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 50_000,
    killSignal: "SIGKILL",
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const resultPath = join(workspace, "task_result.json");
  const resultText = existsSync(resultPath) ? readFileSync(resultPath, "utf8") : null;
  return { code, stderr, workspace, resultText, tookMs: performance.now() - started };
}

describe("a program that succeeds", () => {
  test("its bytes and files are written as protocol section 9 has them", async () => {
    const ended = await runProgram(`async (task) => {
      fs.writeFileSync(task.path("proof.bin"), "p");
      return task.result(new Uint8Array([0, 1, 255]), ["/workspace/proof.bin"]);
    }`);
    expect(ended.stderr).toBe("");
    expect(ended.code).toBe(0);
    expect(ended.resultText).toBe('{"Ok":{"id":"t1","data":[0,1,255],"files":["/workspace/proof.bin"]}}');
  });

  test("it sees id, args, files and workspace under real paths", async () => {
    const { resultText, workspace } = await runProgram(`(task) => task.result(JSON.stringify({
      id: task.id, args: task.args, files: task.files, workspace: task.workspace,
      byVmPath: task.file("/workspace/in/a.txt"), byName: task.file("in/a.txt"), text: fs.readFileSync(task.files[0], "utf8"),
    }))`);
    const file = join(workspace, "in/a.txt");
    expect(JSON.parse(Buffer.from(JSON.parse(resultText ?? "").Ok.data).toString())).toEqual({
      id: "t1",
      args: ["--fast", "x"],
      files: [file],
      workspace,
      byVmPath: file,
      byName: file,
      text: "input",
    });
  });

  test("files may be named by VM path, real path or name; text is UTF-8; nothing is an empty array", async () => {
    const named = await runProgram(`(task) => {
      for (const name of ["a", "b", "c"]) fs.writeFileSync(task.path(name), name);
      return task.result("é", ["/workspace/a", task.path("b"), "c"]);
    }`);
    expect(named.resultText).toBe(
      '{"Ok":{"id":"t1","data":[195,169],"files":["/workspace/a","/workspace/b","/workspace/c"]}}',
    );
    const empty = await runProgram("(task) => task.result(new Uint8Array(0))");
    expect(empty.resultText).toBe('{"Ok":{"id":"t1","data":[],"files":[]}}');
  });

  test("handles left open don't keep the process", async () => {
    const ended = await runProgram(`(task) => { setInterval(() => {}, 1000); return task.result("done"); }`);
    expect(ended.code).toBe(0);
    expect(ended.tookMs).toBeLessThan(30_000);
  });

  test("a result of 24 MiB is written in a heap of 32 MiB", async () => {
    const size = 24 * 1024 * 1024;
    const ended = await runProgram(
      `(task) => task.result(Uint8Array.from({ length: ${size} }, (_, i) => i % 251))`,
      { nodeArgs: ["--max-old-space-size=32"] },
    );
    expect(ended.stderr).toBe("");
    expect(ended.code).toBe(0);
    const data = JSON.parse(ended.resultText ?? "").Ok.data as number[];
    expect(data.length).toBe(size);
    expect(data.findIndex((byte, index) => byte !== index % 251)).toBe(-1);
  });
});

describe("a program that fails", () => {
  const failures: readonly [name: string, body: string, message: string][] = [
    ["throws", "() => { throw new Error('the witness is wrong') }", "the witness is wrong\n    at "],
    ["rejects", "async () => { await null; throw new TypeError('later') }", "later\n    at "],
    [
      "has a cause",
      "() => { throw new Error('outer', { cause: new Error('inner') }) }",
      "caused by: inner\n    at ",
    ],
    ["throws no Error", "() => { throw { reason: 5 } }", 'thrown, but not an Error: {"reason":5}'],
    [
      "throws in a callback",
      "() => new Promise(() => setTimeout(() => { throw new Error('aside') }))",
      "aside\n    at ",
    ],
    [
      "rejects aside",
      "() => { Promise.reject(new Error('aside')); return new Promise(() => {}) }",
      "aside\n    at ",
    ],
    ["never ends", "() => new Promise(() => {})", "never ended"],
    ["returns nothing", "() => {}", "return task.result(bytes or text, [files]) (NO_RESULT)"],
    ["gives numbers as data", "(task) => task.result([1, 2])", "(NO_RESULT)"],
    ["gives text as files", "(task) => task.result('x', '/workspace/a')", "(NO_RESULT)"],
    [
      "asks for an unknown input",
      "(task) => task.file('/workspace/b.txt')",
      "the task has no input file /workspace/b.txt: it has /workspace/in/a.txt",
    ],
    ["asks for a path outside", "(task) => task.path('../x')", '"../x" is not a file of the workspace'],
  ];
  test.each(failures)("%s", async (_name, body, message) => {
    const ended = await runProgram(body);
    expect(ended.code).toBe(1);
    const { Err } = JSON.parse(ended.resultText ?? "");
    expect(Err).toContain(message);
    expect(ended.stderr.trim()).toBe(Err.trim());
  });

  test("a very long message is cut", async () => {
    const ended = await runProgram("() => { throw new Error('x'.repeat(1e6)) }");
    const { Err } = JSON.parse(ended.resultText ?? "");
    expect(Err.length).toBeLessThan(20_000);
    expect(Err).toMatch(/\(cut\)$/);
  });
});

describe("result files that the node could not take", () => {
  const refused: readonly [name: string, make: string, file: string, code: string, message: string][] = [
    ["outside", "", "/etc/hostname", "RESULT_FILE_OUTSIDE", "write it to /workspace/"],
    ["outside by dots", "", "/workspace/../../x", "RESULT_FILE_OUTSIDE", "lies outside"],
    ["the workspace itself", "", "/workspace", "RESULT_FILE_OUTSIDE", "lies outside"],
    ["a NUL byte", "", "/workspace/a\\0b", "RESULT_FILE_OUTSIDE", "lies outside"],
    ["missing", "", "/workspace/none", "RESULT_FILE_MISSING", "does not exist"],
    ["below a file", "", "/workspace/in/a.txt/b", "RESULT_FILE_MISSING", "does not exist"],
    ["a directory", "", "/workspace/in", "RESULT_FILE_NOT_REGULAR", "is a directory"],
    [
      "a link to the outside",
      `fs.symlinkSync("/etc/hostname", task.path("l"))`,
      "/workspace/l",
      "RESULT_FILE_LINK",
      "to /etc/hostname",
    ],
    [
      "a link inside",
      `fs.symlinkSync("in/a.txt", task.path("l"))`,
      "/workspace/l",
      "RESULT_FILE_LINK",
      "copy the file",
    ],
    [
      "through a linked folder",
      `fs.symlinkSync("/etc", task.path("l"))`,
      "/workspace/l/hostname",
      "RESULT_FILE_LINK",
      "",
    ],
    [
      "a dangling link",
      `fs.symlinkSync("/nowhere", task.path("l"))`,
      "/workspace/l",
      "RESULT_FILE_LINK",
      "to nothing",
    ],
    [
      "unreadable",
      `fs.writeFileSync(task.path("u"), "", { mode: 0 }); fs.chmodSync(task.workspace, 0o777); process.getuid() || process.seteuid(65534)`,
      "/workspace/u",
      "RESULT_FILE_UNREADABLE",
      "EACCES",
    ],
  ];
  test.each(refused)("%s", async (_name, make, file, code, message) => {
    const body = `(task) => { ${make}; return task.result("x", ["${file}"]); }`;
    const ended = await runProgram(body);
    expect(ended.code).toBe(1);
    const { Err } = JSON.parse(ended.resultText ?? "");
    expect(Err).toContain(`(${code})`);
    expect(Err).toContain(message);
  });

  test("one named twice", async () => {
    const ended = await runProgram(`(task) => task.result("x", ["in/a.txt", "/workspace/in/a.txt"])`);
    expect(JSON.parse(ended.resultText ?? "").Err).toContain("(RESULT_FILE_TWICE)");
  });
});

describe("a workspace without a proper task", () => {
  const wrong: readonly [name: string, task: string | null, message: string][] = [
    ["no task.json", null, "set GEVULOT_WORKSPACE to a folder with a task.json (NO_TASK)"],
    ["not JSON", "{", "task.json is not JSON"],
    ["an array", "[]", "is not an object"],
    ["no id", '{"args":[],"files":[]}', "field id"],
    ["a number as argument", '{"id":"a","args":[1],"files":[]}', "field args"],
    ["no files", '{"id":"a","args":[]}', "field files"],
    ["a file outside", '{"id":"a","args":[],"files":["/etc/passwd"]}', "lies outside /workspace"],
  ];
  test.each(wrong)("%s", async (_name, task, message) => {
    const ended = await runProgram("(task) => task.result('x')", { task });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(message);
    // A folder without a task may be anybody's: nothing is written there.
    expect(ended.resultText === null).toBe(task === null);
  });

  test("no workspace at all: says at once how to run", async () => {
    for (const folder of [undefined, "/nonexistent"]) {
      const ended = await runProgram("(task) => task.result('x')", { env: { GEVULOT_WORKSPACE: folder } });
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain("run the program in a virtual machine, or set GEVULOT_WORKSPACE");
      expect(ended.tookMs).toBeLessThan(30_000);
    }
  });

  test("a result that is there already stays, and the program is not run", async () => {
    const ended = await runProgram(
      `(task) => { fs.writeFileSync(task.path("ran"), ""); return task.result("x"); }`,
      {
        files: { "task_result.json": "old" },
      },
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("(RESULT_EXISTS)");
    expect(ended.resultText).toBe("old");
    expect(existsSync(join(ended.workspace, "ran"))).toBe(false);
  });
});
