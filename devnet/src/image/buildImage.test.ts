import { execFileSync } from "node:child_process";
import {
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checksumFile } from "gevulot-sdk/node";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { readImageResources } from "../../../sdk/src/node/imageResources.ts";
import { makeElf } from "../../../test/fixtures/makeElf.ts";
import { type BuildImageOptions, type BuiltImage, buildImage } from "./buildImage.ts";
import { extractProgram } from "./extractProgram.ts";
import { readImageDefaults } from "./imageDefaults.ts";
import { prepareBoot } from "./prepareBoot.ts";
import { readImage } from "./readImage.ts";

const BUSYBOX = "/bin/busybox";
let root: string;
let app: string;
let js: BuiltImage;

const APP: Readonly<Record<string, string>> = {
  "prover.ts": `import { hello } from "./lib/hello.ts";\nimport fs from "node:fs";\nconst text: string = hello(fs);\nconsole.log(text);\n`,
  "lib/hello.ts": `export const hello = (fs: unknown): string => "hello " + typeof fs;\n`,
  "data/key.bin": "key",
  "static/a/b.txt": "b",
  "params/one.bin": "1",
  "params/two.bin": "2",
  "params/two.txt": "-",
};
const MANIFEST = {
  Args: ["it's", "$HOME"],
  Env: { LEVEL: "3" },
  Files: ["data/key.bin"],
  Dirs: ["static"],
  MapDirs: { "params/*.bin": "/p" },
  Mounts: { "%1": "/workspace" },
  ManifestPassthrough: { readonly_rootfs: "true" },
};

async function writeApp(folder: string): Promise<string> {
  for (const [path, text] of Object.entries(APP)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  await symlink("b.txt", join(folder, "static/a/link"));
  await symlink("nowhere", join(folder, "static/a/dangling"));
  return folder;
}

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "gevulot-image-")));
  app = await writeApp(join(root, "app"));
  js = await buildImage({
    program: join(app, "prover.ts"),
    manifest: MANIFEST,
    workingDir: app,
    outputPath: join(root, "out", "prover.img"),
  });
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));
afterEach(async () => {
  // Whatever happened, nothing half-made is left beside an image.
  expect((await readdir(join(root, "out"))).filter((name) => name.includes(".tmp"))).toEqual([]);
});

const build = (options: Partial<BuildImageOptions>) =>
  buildImage({ program: BUSYBOX, outputPath: join(root, "out", "x.img"), workingDir: app, ...options });

async function damaged(at: number): Promise<string> {
  const path = join(root, "damaged.img");
  await cp(js.path, path);
  const file = await open(path, "r+");
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  await file.close();
  return path;
}

describe("an image", () => {
  test("says of itself what went in", async () => {
    const { path, checksum, warnings, notes, files, runtime, ...info } = js;
    expect(await readImage(path)).toEqual(info);
    expect(checksum).toBe(await checksumFile(path));
    expect(info.program).toEqual({
      kind: "js",
      path: "/prover.mjs",
      args: ["it's", "$HOME"],
      env: { LEVEL: "3" },
      workspace: "/workspace",
      readonlyRootfs: true,
    });
    expect(info.versions).toEqual({ kernel: expect.stringMatching(/^\d+\./), node: process.version });
    expect([...warnings, ...notes]).toEqual([]);
    expect(runtime).toContain("/usr/bin/node");
    expect(files).toContain("/static/a/link");
    expect(files).not.toContain("/static/a/dangling");
  });

  test("keeps what RunConfig asks for where a deployment finds it", async () => {
    const RunConfig = { Memory: "1g", cpus: 3, DeadlineSeconds: 90, Accel: true };
    const { path, resources, notes } = await build({ manifest: { RunConfig } });
    expect(resources).toEqual({ memMib: 1024, cpus: 3 });
    expect((await readImage(path)).resources).toEqual(resources);
    expect(await readImageResources(path)).toEqual(resources);
    expect(await readImageResources(js.path)).toEqual({});
    expect(await readImageResources(BUSYBOX)).toEqual({});
    expect(await readImageDefaults(path)).toEqual({ resources, deadlineSeconds: 90 });
    expect(await readImageDefaults(js.path)).toEqual({ resources: {}, deadlineSeconds: null });
    expect(notes).toEqual([
      expect.stringMatching(/1024 MiB, 3 CPUs/),
      expect.stringMatching(/ends after 90 s/),
      expect.stringMatching(/not Accel/),
    ]);
  });

  test("of a program named by its base name is of the file that was given", async () => {
    await mkdir(join(app, "target"), { recursive: true });
    await cp(BUSYBOX, join(app, "target", "my_prover"));
    const { program } = await build({
      program: join(app, "target/my_prover"),
      manifest: { Program: "my_prover" },
    });
    expect(program).toMatchObject({ path: "/my_prover", kind: "elf" });
  });

  test("of the program that the manifest alone names", async () => {
    await mkdir(join(app, "bin"), { recursive: true });
    await cp(BUSYBOX, join(app, "bin", "named"));
    const { program } = await build({ program: undefined, manifest: { Program: "bin/named" } });
    expect(program).toMatchObject({ path: "/bin/named", kind: "elf" });
    const none = build({ program: undefined, outputPath: join(root, "out", "none.img") });
    await expect(none).rejects.toMatchObject({
      code: "PROGRAM_UNUSABLE",
      message: expect.stringMatching(/manifest's Program/),
    });
  });

  test("of a program that takes tasks over VSOCK alone says so", async () => {
    const names = "/vm_service.VMService/GetTask";
    const make = async (text: string, exec?: object) => {
      await writeFile(join(app, "shim"), Buffer.concat([await readFile(BUSYBOX), Buffer.from(text)]));
      const image = await build({ program: join(app, "shim"), ...(exec ? { exec } : {}) });
      const { needsVsock } = await prepareBoot({ imagePath: image.path, cacheDir: join(root, "cache") });
      return { needsVsock, notes: image.notes };
    };
    expect(await make(names)).toEqual({ needsVsock: true, notes: [expect.stringMatching(/VSOCK alone/)] });
    expect(await make(`${names} task.json`)).toEqual({ needsVsock: false, notes: [] });
    expect(await make(names, {})).toEqual({ needsVsock: false, notes: [] });
  });

  test("is a disk that other tools read", async () => {
    const sector = (await readFile(js.path)).subarray(0, 512);
    const partition = (at: number) => [sector[at], sector[at + 4], sector.readUInt32LE(at + 8) * 512];
    expect(partition(446)).toEqual([0x80, 0x0e, 2 ** 20]);
    expect(partition(462)).toEqual([0, 0x83, js.root.offset]);
    expect(sector.readUInt16BE(510)).toBe(0x55aa);
    const kernel = execFileSync("mtype", ["-i", `${js.path}@@1M`, "::vmlinuz"], { maxBuffer: 2 ** 28 });
    expect(kernel.length).toBe(js.kernel.length);
    // The boot loader's tool puts files there too: without its clock.
    const files = execFileSync("mdir", ["-a", "-i", `${js.path}@@1M`, "::"]).toString();
    expect(files).toMatch(/^ldlinux +sys /m);
    expect(new Set(files.match(/\d{4}-\d\d-\d\d +\d+:\d\d/g))).toEqual(new Set(["1980-01-01   0:00"]));
    const list = execFileSync("unsquashfs", ["-offset", String(js.root.offset), "-lls", js.path]).toString();
    expect(list).toMatch(/-rwxr-xr-x root\/root .* 1970-01-01 .* squashfs-root\/usr\/bin\/node\n/);
  });

  test("of the same inputs is the same, whatever the folder, the time and the umask", async () => {
    const elsewhere = await writeApp(join(root, "elsewhere", "deeper"));
    const umask = process.umask(0o077);
    try {
      const outputPath = join(root, "out", "again.img");
      const again = await buildImage({
        program: join(elsewhere, "prover.ts"),
        manifest: MANIFEST,
        workingDir: elsewhere,
        outputPath,
      });
      expect(again.checksum).toBe(js.checksum);
    } finally {
      process.umask(umask);
    }
  }, 120_000);

  test("differs where an input does", async () => {
    const one = await build({ args: ["a"] });
    const two = await build({ args: ["b"] });
    expect(one.root.sha256).not.toBe(two.root.sha256);
    expect(one.checksum).not.toBe(two.checksum);
    expect(one.kernel).toEqual(two.kernel);
    expect(one.initrd).toEqual(two.initrd);
  });

  test("overrides win and are checked", async () => {
    const { program } = await build({ manifest: MANIFEST, args: ["-x"], env: { LEVEL: "4", MORE: "=" } });
    expect(program).toMatchObject({ kind: "elf", args: ["-x"], env: { LEVEL: "4", MORE: "=" } });
    await expect(build({ env: { "A B": "" } })).rejects.toMatchObject({ code: "MANIFEST_INVALID" });
  });
});

describe("what a runner takes out of an image", () => {
  test("the kernel, unpacked, and where the root is; many at once", async () => {
    const cacheDir = join(root, "cache");
    const all = await Promise.all([1, 2, 3].map(() => prepareBoot({ imagePath: js.path, cacheDir })));
    const [boot] = all;
    expect(all).toEqual([boot, boot, boot]);
    expect(boot?.cmdline).toContain("console=ttyS0");
    expect(boot?.rootOffset).toBe(js.root.offset);
    expect((await readFile(boot?.vmlinuxPath ?? "")).includes(`Linux version ${js.versions.kernel}`)).toBe(
      true,
    );
    expect((await readFile(boot?.initrdPath ?? "")).length).toBe(js.initrd.length);
    expect((await readdir(join(cacheDir, "vmlinux"))).length).toBe(1);
  });

  test("the program with its files, which runs as a host process", async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(() => extractProgram({ imagePath: js.path, cacheDir: join(root, "cache") })),
    );
    expect(one).toEqual(two);
    const { dir = "", program = "", args, env, kind } = one ?? {};
    expect({ args, env, kind }).toEqual({ args: ["it's", "$HOME"], env: { LEVEL: "3" }, kind: "js" });
    expect((await readdir(dir)).sort()).toEqual(["data", "p", "prover.mjs", "static"]);
    expect((await readdir(join(dir, "p"))).sort()).toEqual(["one.bin", "two.bin"]);
    expect(await readlink(join(dir, "static/a/link"))).toBe("b.txt");
    expect(execFileSync(process.execPath, [program]).toString()).toBe("hello object\n");
  });

  test.each([
    ["kernel", () => js.kernel.offset + 100, () => prepareBoot],
    ["initrd", () => js.initrd.offset + 100, () => prepareBoot],
    ["root file system", () => js.root.offset + 1000, () => extractProgram],
  ])("not when the %s is damaged", async (part, at, take) => {
    const imagePath = await damaged(at());
    await expect(take()({ imagePath, cacheDir: join(root, "fresh") })).rejects.toMatchObject({
      code: "IMAGE_INVALID",
      message: expect.stringContaining(`its ${part} is damaged`),
    });
  });

  test("not when it is cut off, a folder, or not there", async () => {
    const imagePath = join(root, "cut.img");
    await cp(js.path, imagePath);
    await truncate(imagePath, js.sizeBytes - 1);
    await expect(readImage(imagePath)).rejects.toThrow(/cut off/);
    await expect(readImage(root)).rejects.toMatchObject({ code: "IMAGE_INVALID" });
    await expect(readImage(join(root, "none"))).rejects.toThrow(/ENOENT/);
    await expect(readImage(BUSYBOX)).rejects.toThrow(/not an image made by/);
  });
});

describe("refuses", () => {
  const manifest = (json: object) => ({ manifest: json });
  const table: [
    name: string,
    options: () => Promise<Partial<BuildImageOptions>>,
    code: string,
    reason: RegExp,
  ][] = [
    ["a program that is not there", async () => ({ program: "/nowhere.mjs" }), "PROGRAM_UNUSABLE", /ENOENT/],
    ["a text file", async () => ({ program: "/etc/passwd" }), "PROGRAM_UNUSABLE", /neither an ELF/],
    [
      "a program for another processor",
      async () => ({ program: await file("arm", makeElf({ machine: 183 })) }),
      "ELF_INVALID",
      /another processor/,
    ],
    [
      "a program whose library lacks",
      async () => ({ program: await file("lacks", makeElf({ needed: ["libnone.so"] })) }),
      "LIBRARY_NOT_FOUND",
      /libnone\.so/,
    ],
    [
      "an import that is not installed",
      async () => ({ program: await file("imports.mjs", 'import "not-installed";') }),
      "BUNDLE_FAILED",
      /imports\.mjs:1: Could not resolve "not-installed"/,
    ],
    [
      "a syntax error",
      async () => ({ program: await file("syntax.mjs", "let = = 1;") }),
      "BUNDLE_FAILED",
      /syntax\.mjs:1/,
    ],
    ["a wrong manifest", async () => manifest({ Klib: [] }), "MANIFEST_INVALID", /did you mean Klibs/],
    [
      "an Env name that its shell can't set",
      async () => manifest({ Env: { "A-B": "1" } }),
      "MANIFEST_INVALID",
      /Env\.A-B.*no name of an environment variable/,
    ],
    ["a file that is not there", async () => manifest({ Files: ["none"] }), "MANIFEST_FILE", /ENOENT/],
    ["an absolute file", async () => manifest({ Files: ["/etc/passwd"] }), "MANIFEST_FILE", /relative/],
    ["a file outside", async () => manifest({ Files: ["../x"] }), "MANIFEST_FILE", /outside/],
    ["a folder in Files", async () => manifest({ Files: ["static"] }), "MANIFEST_FILE", /Dirs/],
    ["a file in Dirs", async () => manifest({ Dirs: ["data/key.bin"] }), "MANIFEST_FILE", /Files/],
    ["a pattern of nothing", async () => manifest({ MapDirs: { "*.x": "/p" } }), "MANIFEST_FILE", /nothing/],
    [
      "a place of the system",
      async () => manifest({ MapDirs: { "data/*": "/dev" } }),
      "MANIFEST_FILE",
      /system/,
    ],
    [
      "a Program that is not there",
      async () => manifest({ Program: "bin/none" }),
      "PROGRAM_UNUSABLE",
      /app\/bin\/none/,
    ],
    [
      "a program that is not there, though another counts",
      async () => ({ program: join(app, "absent"), ...manifest({ Program: "lib2/p" }) }),
      "PROGRAM_UNUSABLE",
      /absent.*it is not there/,
    ],
    [
      "a program that the machine's /tmp would hide",
      async () => {
        await mkdir(join(app, "tmp"), { recursive: true });
        await cp(BUSYBOX, join(app, "tmp", "hidden"));
        return { program: join(app, "tmp", "hidden") };
      },
      "PROGRAM_UNUSABLE",
      /\/tmp\/hidden is below \/tmp/,
    ],
    [
      "a program that its workspace would hide",
      async () => manifest({ Mounts: { "%1": "/lib2" }, Program: "lib2/p" }),
      "PROGRAM_UNUSABLE",
      /\/lib2\/p is below \/lib2/,
    ],
    [
      "a working folder in /tmp",
      async () => manifest({ ManifestPassthrough: { cwd: "/tmp/x" } }),
      "PROGRAM_UNUSABLE",
      /working folder \/tmp\/x is below \/tmp/,
    ],
    [
      "a kernel without its modules",
      async () => ({ kernelPath: "/boot/vmlinuz" }),
      "GUEST_KERNEL_NOT_FOUND",
      /--modules together/,
    ],
    [
      "a Node.js that is none",
      async () => ({ program: join(app, "prover.ts"), nodePath: BUSYBOX }),
      "NODE_UNUSABLE",
      /no Node\.js/,
    ],
  ];
  const file = async (name: string, content: string | Buffer) => {
    await writeFile(join(app, name), content);
    return join(app, name);
  };

  beforeAll(async () => {
    await mkdir(join(app, "lib2"), { recursive: true });
    await cp(BUSYBOX, join(app, "lib2", "p"));
  });

  test.each(table)("%s", async (_, options, code, reason) => {
    await expect(
      build({ ...(await options()), outputPath: join(root, "out", "wrong.img") }),
    ).rejects.toMatchObject({ code, message: expect.stringMatching(reason) });
    expect(await readdir(join(root, "out"))).not.toContain("wrong.img");
  });

  test("to write through a link of the program's own files", async () => {
    const victim = join(root, "victim");
    await mkdir(victim);
    await writeFile(join(victim, "x"), "untouched");
    await mkdir(join(app, "links"), { recursive: true });
    await symlink(victim, join(app, "links", "out"));
    const manifest = { Dirs: ["links"], Files: ["links/out/x"] };
    await expect(build({ manifest })).rejects.toMatchObject({ code: "MANIFEST_FILE" });
    expect(await readFile(join(victim, "x"), "utf8")).toBe("untouched");
  });

  test("to go on once it is aborted, and keeps the image that was there", async () => {
    const before = await build({});
    const stop = new AbortController();
    const onProgress = (message: string) => message.startsWith("packing") && stop.abort(new Error("enough"));
    await expect(build({ args: ["new"], signal: stop.signal, onProgress })).rejects.toThrow("enough");
    expect(await checksumFile(before.path)).toBe(before.checksum);
  });
});
