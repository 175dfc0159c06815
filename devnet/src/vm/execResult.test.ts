import { execFileSync } from "node:child_process";
import { constants } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ExecProgram, MAX_PROOF_BYTES, STDERR_FILE, STDOUT_FILE } from "../image/execProgram.ts";
import { removeTree } from "../removeTree.ts";
import { leaveExecResult } from "./execResult.ts";
import type { VmOutcome } from "./provider.ts";

let workspaceDir: string;
beforeEach(async () => {
  workspaceDir = await mkdtemp(join(tmpdir(), "gevulot-exec-"));
});
afterEach(() => removeTree(workspaceDir));

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(workspaceDir, path)), { recursive: true });
  await writeFile(join(workspaceDir, path), content);
}

type Ended = Extract<VmOutcome, { kind: "exited" | "signalled" }>;

async function resultOf(exec: ExecProgram, outcome: Ended = { kind: "exited", exitCode: 0 }) {
  const request = { id: "t1", args: [], files: ["/workspace/in.txt"] };
  const isFlood = await leaveExecResult({ workspaceDir, program: "/bin/prover", exec, request, outcome });
  const result = JSON.parse(await readFile(join(workspaceDir, "task_result.json"), "utf8"));
  return { isFlood, result };
}

describe("leaveExecResult", () => {
  test("takes the standard output, and the files that a pattern names but the inputs", async () => {
    await put(STDOUT_FILE, "proof\0ü");
    for (const path of ["in.txt", "out.txt", "a/b/deep.txt", "a/x.json", "task.json"]) await put(path, "");
    await symlink("/etc/passwd", join(workspaceDir, "link.txt"));
    const { result, isFlood } = await resultOf({ outputs: ["**/*.txt", "a/?.json"] });
    const files = ["/workspace/a/b/deep.txt", "/workspace/out.txt", "/workspace/a/x.json"];
    expect(result).toEqual({ Ok: { id: "t1", data: [...Buffer.from("proof\0ü")], files } });
    expect(isFlood).toBe(false);
  });

  test("a pattern passes by what QEMU left, and links of a guest; a plain link is no proof", async () => {
    await put(STDOUT_FILE, "p");
    await put("out/proof", "p");
    await put("out/link", "/etc/passwd");
    await put("out/.virtfs_metadata/proof", `virtfs.mode=${constants.S_IFREG | 0o644}\n`);
    await put("out/.virtfs_metadata/link", `virtfs.mode=${constants.S_IFLNK | 0o777}\n`);
    await put("out/.virtfs_metadata_root", "virtfs.uid=0\n");
    const { result } = await resultOf({ outputs: ["out/**"] });
    expect(result.Ok.files).toEqual(["/workspace/out/proof"]);
    await rm(join(workspaceDir, "task_result.json"));
    const linked = await resultOf({ proofFile: "out/link", outputs: [] });
    expect(linked.result.Err).toMatch(/a symbolic link leads there \(PROOF_MISSING\)/);
  });

  test("outputs too many, or in folders too deep for a path", async () => {
    await put(STDOUT_FILE, "p");
    await mkdir(join(workspaceDir, "many"));
    for (let index = 0; index <= 10_000; index++) await writeFile(join(workspaceDir, "many", `${index}`), "");
    expect((await resultOf({ outputs: ["many/*"] })).result.Err).toMatch(/more than 10000 files match/);
    await rm(join(workspaceDir, "task_result.json"));
    // Ten folders, and ten more moved below them.
    const [deep, more] = ["d", "e"].map((name) => Array(10).fill(name.repeat(250)).join("/"));
    for (const path of [deep, more]) await mkdir(join(workspaceDir, path as string), { recursive: true });
    await rename(join(workspaceDir, "e".repeat(250)), join(workspaceDir, deep as string, "e"));
    expect((await resultOf({ outputs: ["**"] })).result.Err).toMatch(
      /a folder of the workspace can't be read \(ENAMETOOLONG\)/,
    );
  });

  test("a pattern that would hold the node for years is no match, or costs too much", async () => {
    await put(STDOUT_FILE, "p");
    await put("a".repeat(250), "");
    const { result } = await resultOf({ outputs: [`${"*a".repeat(30)}*b`] });
    expect(result.Err).toMatch(/no file matches/);
  });

  test("takes a large proof file whole", async () => {
    await put("p/proof.bin", "x".repeat(200_001));
    const { result } = await resultOf({ proofFile: "p/proof.bin", outputs: ["in.txt"] });
    expect(result.Ok.data).toHaveLength(200_001);
    // A plain name is taken as it is; that it is there is looked at where the files are taken.
    expect(result.Ok.files).toEqual(["/workspace/in.txt"]);
  });

  test("a program that failed says its last words", async () => {
    await put(STDERR_FILE, `${"x".repeat(5000)}the witness is wrong\n`);
    const { result } = await resultOf({ outputs: [] }, { kind: "exited", exitCode: 3 });
    expect(result.Err).toMatch(/^prover ended with exit code 3: x+the witness is wrong \(COMMAND_FAILED\)$/);
    expect(result.Err.length).toBeLessThan(4200);
  });

  test("a flood is told apart from what ended the program", async () => {
    await put(STDOUT_FILE, "");
    await truncate(join(workspaceDir, STDOUT_FILE), MAX_PROOF_BYTES + 512);
    const { result, isFlood } = await resultOf({ outputs: [] }, { kind: "signalled", signal: "SIGPIPE" });
    expect(isFlood).toBe(true);
    expect(result.Err).toMatch(/standard output, has more than 15728640 bytes.*PROOF_TOO_LARGE/);
  });

  test("a result that the program wrote stays", async () => {
    await put("task_result.json", '{"Err":"its own"}');
    await put(STDOUT_FILE, "proof");
    expect((await resultOf({ outputs: [] })).result).toEqual({ Err: "its own" });
  });

  const proof: ExecProgram = { proofFile: "d/proof", outputs: [] };
  test.each<[string, () => unknown, ExecProgram, RegExp]>([
    ["no proof file", () => {}, proof, /did not write it \(PROOF_MISSING\)/],
    [
      "a link to a file of the host",
      () => put("d/x", "").then(() => link("/etc/passwd", "d/proof")),
      proof,
      /link/,
    ],
    ["a link on the way", () => link("/etc", "d"), { ...proof, proofFile: "d/passwd" }, /link/],
    ["a folder", () => put("d/proof/x", ""), proof, /no plain file/],
    ["a fifo", () => put("d/x", "").then(() => fifo("d/proof")), proof, /no plain file/],
    [
      "a pattern of nothing",
      () => put(STDOUT_FILE, ""),
      { outputs: ["*.bin"] },
      /no file matches the output \*\.bin/,
    ],
    [
      "standard output replaced by a link",
      () => put("d/x", "").then(() => link("d", ".gevulot")),
      { outputs: [] },
      /MISSING/,
    ],
  ])("refuses %s", async (_, prepare, exec, reason) => {
    await prepare();
    expect((await resultOf(exec)).result.Err).toMatch(reason);
  });
  const link = (target: string, path: string) => symlink(target, join(workspaceDir, path));
  const fifo = (path: string) => void execFileSync("mkfifo", [join(workspaceDir, path)]);
});
