import { execFileSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ImageProgram } from "./descriptor.ts";
import { ARGS_FILE, joinArgs, quoteForShell } from "./execProgram.ts";
import type { ProgramFile } from "./programFiles.ts";
import { RUN_FILE, runFile, writeRootTree } from "./rootTree.ts";

const program: ImageProgram = {
  kind: "elf",
  path: "/bin/prover",
  args: ["it's", "$HOME", "`id`", "two\nlines", "", "--x"],
  env: { LEVEL: "a'b$c", USER: "prover" },
  workspace: "/workspace",
  readonlyRootfs: true,
};

/** What a shell makes of it, with a tool that prints instead of `time`. */
function runBy(text: string, root = "/r"): string[] {
  const show = `${text.replace("/bin/time", "printf '%s\\0'")}\nroot=${root}\n(start)\nprintf '%s\\0' "$workspace" "$writable"`;
  return execFileSync("sh", ["-c", show]).toString().split("\0").slice(0, -1);
}

test("a shell gives the program its arguments as they are", () => {
  const before = ["-o", "/status", "-f", "%x", "/bin/chroot", "/r"];
  expect(runBy(runFile(program))).toEqual([...before, program.path, ...program.args, "/workspace", ""]);
  expect(runBy(runFile({ ...program, readonlyRootfs: false })).at(-1)).toBe("yes");
});

test("a program that knows nothing of tasks gets the task's arguments, where there are any", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gevulot-run-"));
  try {
    const exec: ImageProgram = { ...program, args: ["a", "{args}", "b"], exec: { outputs: [] } };
    const run = () => runBy(runFile(exec), folder).slice(6, -2);
    expect(run()).toEqual([program.path, "a", "b"]);
    await mkdir(join(folder, "workspace", ".gevulot"), { recursive: true });
    const args = joinArgs(exec.args, ["it's", "", "ü\n$x"]);
    await writeFile(join(folder, "workspace", ARGS_FILE), `set -- ${args.map(quoteForShell).join(" ")}\n`);
    expect(run()).toEqual([program.path, "a", "it's", "", "ü\n$x", "b"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a working folder of its own", () => {
  const before = ["/bin/nsenter", "-r/r", "-w/r/app dir", program.path];
  expect(runBy(runFile({ ...program, cwd: "/app dir" })).slice(4, 8)).toEqual(before);
});

function envBy(text: string): string[] {
  const show = `${text.replace(/exec .*/s, "env -0; }")}\n(start)`;
  return execFileSync("sh", ["-c", show]).toString().split("\0");
}

test("and its environment, the manifest's last", () => {
  const env = envBy(runFile(program));
  expect(env).toEqual(expect.arrayContaining(["LEVEL=a'b$c", "USER=prover", "HOME=/root", "PWD=/"]));
  expect(env.join()).not.toContain("GEVULOT_WORKSPACE");
});

test("an environment with names of ours changes nothing but the program's", () => {
  const names = { root: "/x", heap: "1", kib: "x", given: "y", workspace: "z", writable: "" };
  const js: ImageProgram = { ...program, kind: "js", path: "/p.mjs", args: [], env: names };
  const started = runBy(runFile(js));
  expect(started.slice(4, 7)).toEqual(["/bin/chroot", "/r", "/usr/bin/node"]);
  expect(Number(/=(\d+)$/.exec(started[7] ?? "")?.[1])).toBeGreaterThan(64);
  expect(envBy(runFile(js))).toEqual(expect.arrayContaining(["root=/x", "heap=1", "workspace=z"]));
});

test("a shim is told of a workspace elsewhere", () => {
  const text = runFile({ ...program, workspace: "/data" });
  expect(envBy(text)).toEqual(expect.arrayContaining(["GEVULOT_WORKSPACE=/data"]));
});

test("Node.js gets the memory that there is, unless the manifest says how much", () => {
  const js: ImageProgram = { ...program, kind: "js", path: "/p.mjs", args: [] };
  const [node, flag, heap, path] = runBy(runFile(js, ["--flag"])).slice(6, 10);
  expect([node, flag, path]).toEqual(["/usr/bin/node", "--flag", "/p.mjs"]);
  expect(Number(/^--max-old-space-size=(\d+)$/.exec(heap ?? "")?.[1])).toBeGreaterThan(64);
  const own = runFile({ ...js, env: { NODE_OPTIONS: "--max-old-space-size=100" } });
  expect(runBy(own).slice(6, 8)).toEqual(["/usr/bin/node", "/p.mjs"]);
});

describe("writeRootTree", () => {
  async function inFolders(work: (root: string, outside: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "gevulot-root-"));
    try {
      await mkdir(join(folder, "root"));
      await writeFile(join(folder, "outside"), "untouched");
      await work(join(folder, "root"), join(folder, "outside"));
      expect(await readFile(join(folder, "outside"), "utf8")).toBe("untouched");
    } finally {
      await rm(folder, { recursive: true });
    }
  }
  const tree = { program, programData: Buffer.from("own"), runtime: [], nodeFlags: [], kernelVersion: "6.1" };

  test.each(["outside", "nowhere", "/bin/other"])(
    "a link to %s at the program's place, or at a file of ours, is not followed",
    async (leads) => {
      await inFolders(async (root, outside) => {
        const target = leads === "outside" ? outside : leads;
        const source = `${outside}.link`;
        await symlink(target, source);
        const places = [program.path, RUN_FILE, "/etc/passwd"];
        const files = places.map((path): ProgramFile => ({ kind: "link", source, path }));
        await writeRootTree(root, { ...tree, files });
        expect(await readFile(join(root, program.path), "utf8")).toBe("own");
        expect((await lstat(join(root, RUN_FILE))).isFile()).toBe(true);
      });
    },
  );

  test("a folder at the program's place is named", async () => {
    await inFolders(async (root) => {
      const files: ProgramFile[] = [{ kind: "directory", source: root, path: program.path }];
      const message = expect.stringMatching(/\/bin\/prover can't be put.*a folder of the image is there/);
      await expect(writeRootTree(root, { ...tree, files })).rejects.toMatchObject({
        code: "MANIFEST_FILE",
        message,
      });
    });
  });

  test("links of a container where folders are wanted", async () => {
    await inFolders(async (root, outside) => {
      await mkdir(join(root, "var/roothome"), { recursive: true });
      await symlink("var/roothome", join(root, "root"));
      await symlink("/var/tmp", join(root, "tmp"));
      await symlink(outside, join(root, "dev"));
      await writeRootTree(root, { ...tree, programData: undefined, files: [] });
      expect((await lstat(join(root, "root"))).isSymbolicLink()).toBe(true);
      for (const name of ["tmp", "dev"]) expect((await lstat(join(root, name))).isDirectory()).toBe(true);
    });
  });
});
