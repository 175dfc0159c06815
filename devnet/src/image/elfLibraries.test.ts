import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MakeElfOptions, makeElf } from "../../../test/fixtures/makeElf.ts";
import { findLibraries } from "./elfLibraries.ts";
import { readLoaderFolders } from "./loaderFolders.ts";

let root: string;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "gevulot-libraries-")));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function elf(path: string, options: MakeElfOptions | Buffer = {}): Promise<string> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, Buffer.isBuffer(options) ? options : makeElf(options));
  return file;
}

const folders = () => ({ builtIn: [join(root, "system")], configured: [join(root, "extra")] });
const find = (program: string) => findLibraries(program, { folders: folders() });

describe("findLibraries", () => {
  test("finds what the loader finds for a real program", async () => {
    const { stdout } = await promisify(execFile)("ldd", [process.execPath]);
    const expected = [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => basename(match[1] ?? ""));
    const found = await findLibraries(process.execPath);
    expect(found.map((library) => basename(library.path)).sort()).toEqual(expected.sort());
  });

  test("a static program needs none", async () => {
    expect(await find(await elf("static"))).toEqual([]);
  });

  test("follows libraries of libraries, each once, and rounds", async () => {
    await elf("system/liba.so", { needed: ["libb.so", "libc.so.6"] });
    await elf("system/libb.so", { needed: ["liba.so", "libc.so.6"] });
    await elf("system/libc.so.6");
    const found = await find(await elf("app/one", { needed: ["liba.so", "libb.so"] }));
    expect(found.map((library) => library.path)).toEqual(
      ["liba.so", "libb.so", "libc.so.6"].map((name) => join(root, "system", name)),
    );
  });

  test("libraries beside the program go where the guest's loader looks", async () => {
    const near = await elf("app/lib/libnear.so");
    const found = await find(await elf("app/two", { needed: ["libnear.so"], runpath: "$ORIGIN/lib" }));
    expect(found).toEqual([{ path: join(root, "system", "libnear.so"), source: near }]);
  });

  test("so do those that only the host's configuration names", async () => {
    const extra = await elf("extra/libextra.so");
    const found = await find(await elf("app/three", { needed: ["libextra.so"] }));
    expect(found).toEqual([{ path: join(root, "system", "libextra.so"), source: extra }]);
  });

  test("an rpath is handed on to libraries, a runpath is not", async () => {
    await elf("private/libouter.so", { needed: ["libinner.so"] });
    await elf("private/libinner.so");
    const path = join(root, "private");
    const byRpath = await find(await elf("app/four", { needed: ["libouter.so"], rpath: path }));
    expect(byRpath).toHaveLength(2);
    await expect(
      find(await elf("app/five", { needed: ["libouter.so"], runpath: path })),
    ).rejects.toMatchObject({
      code: "LIBRARY_NOT_FOUND",
      context: { library: "libinner.so", neededBy: join(path, "libouter.so") },
    });
  });

  test("files of another processor and text files of that name are passed over", async () => {
    await elf("wrong/libodd.so", { machine: 183 });
    await elf("text/libodd.so", Buffer.from("GROUP ( libodd.so )"));
    const right = await elf("extra/libodd.so");
    const runpath = `${join(root, "wrong")}:${join(root, "text")}`;
    const found = await find(await elf("app/six", { needed: ["libodd.so"], runpath }));
    expect(found).toMatchObject([{ source: right }]);
  });

  test("of two versions the one that the loader takes: the configured folder's", async () => {
    await elf("system/libtwo.so");
    const right = await elf("extra/libtwo.so");
    const found = await find(await elf("app/versions", { needed: ["libtwo.so"] }));
    expect(found).toEqual([{ path: join(root, "system", "libtwo.so"), source: right }]);
  });

  test("a library that is named by its path stays there, and a relative path is refused", async () => {
    const own = await elf("private/named.so");
    const found = await find(await elf("app/by-path", { needed: [own] }));
    expect(found).toEqual([{ path: own, source: own }]);
    const program = await elf("app/relative", { needed: ["lib/named.so"] });
    await expect(find(program)).rejects.toThrow(
      `${program} names the shared library lib/named.so by a relative path, which leads nowhere in an image. ` +
        "Give the library a name (-Wl,-soname,named.so) and link again, or: patchelf --replace-needed lib/named.so named.so",
    );
  });

  test("says which library lacks, who needs it, and where it was looked for", async () => {
    const program = await elf("app/seven", { needed: ["libnowhere.so.2"] });
    await expect(find(program)).rejects.toThrow(
      `libnowhere.so.2, needed by ${program}, was not found in ${join(root, "extra")}, ${join(root, "system")}.`,
    );
  });

  test("on the image's LD_LIBRARY_PATH, on that of whoever builds it, and after $LIB", async () => {
    const [image, host, lib] = [
      await elf("on/i/liba.so"),
      await elf("on/h/libb.so"),
      await elf("on/lib64/libc.so"),
    ];
    const needed = ["liba.so", "libb.so", "libc.so"];
    const program = await elf("app/nine", { needed, runpath: `${join(root, "on")}/$LIB` });
    const found = await findLibraries(program, {
      folders: folders(),
      imagePath: [join(root, "on/i")],
      hostPath: [join(root, "on/h")],
    });
    expect(found.map(({ source }) => source)).toEqual([image, host, lib]);
    expect(found.map(({ path }) => dirname(path))).toEqual(needed.map(() => join(root, "system")));
  });

  test("among the image's own files they stay, and what they need comes along", async () => {
    await elf("system/libneeded.so");
    const source = await elf("own/libgv1.so", { needed: ["libneeded.so"] });
    const program = await elf("app/ten", { needed: ["libgv1.so"] });
    const provided = new Map([["/l/libgv1.so", source]]);
    const options = { folders: folders(), provided };
    const found = await findLibraries(program, { ...options, imagePath: ["/l"] });
    expect(found.map(({ path }) => basename(path))).toEqual(["libneeded.so"]);
    // The image's loader would not look there.
    await expect(findLibraries(program, options)).rejects.toMatchObject({ code: "LIBRARY_NOT_FOUND" });
  });

  test("of musl: its loader is the C library, and it has folders of its own", async () => {
    const loader = "/lib/ld-musl-x86_64.so.1";
    await elf(`musl${loader}`);
    await elf("musl/usr/local/lib/libpython.so", { needed: ["libc.so", "libc.musl-x86_64.so.1"] });
    const program = await elf("musl/app", { interpreter: loader, needed: ["libpython.so", "libm.so.6"] });
    const found = await findLibraries(program, { root: join(root, "musl") });
    expect(found.map(({ path }) => path)).toEqual([loader, "/usr/local/lib/libpython.so"]);
  });

  test("this machine's loader is asked for what can't be found by reading", async (context) => {
    const own = process.env.LD_LIBRARY_PATH;
    try {
      await mkdir(join(root, "asked"), { recursive: true });
      await writeFile(join(root, "asked/l.c"), "int f(void) { return 0; }\n");
      await writeFile(join(root, "asked/u.c"), "int f(void);\nint main(void) { return f(); }\n");
      const gcc = (...args: string[]) => promisify(execFile)("gcc", args, { cwd: join(root, "asked") });
      await gcc("-shared", "-o", "libasked.so", "l.c").catch(() => context.skip("gcc is not installed"));
      await gcc("-o", "u", "u.c", "-L.", "-lasked");
      const program = join(root, "asked/u");
      await expect(findLibraries(program)).rejects.toThrow(/libasked\.so.*LD_LIBRARY_PATH/);
      process.env.LD_LIBRARY_PATH = join(root, "asked");
      const found = await findLibraries(program);
      expect(found.map(({ source }) => source)).toContain(join(root, "asked/libasked.so"));
      expect(found.map(({ path }) => dirname(path))).not.toContain(join(root, "asked"));
    } finally {
      if (own === undefined) delete process.env.LD_LIBRARY_PATH;
      else process.env.LD_LIBRARY_PATH = own;
    }
  });

  test("says that a loader lacks", async () => {
    const program = await elf("app/eight", { interpreter: "/lib/ld-musl-nowhere.so.1" });
    await expect(find(program)).rejects.toMatchObject({ code: "LIBRARY_NOT_FOUND" });
  });
});

test("readLoaderFolders follows includes, and their patterns", async () => {
  await mkdir(join(root, "ld.so.conf.d"));
  await writeFile(join(root, "ld.so.conf"), "# comment\n/opt/first\ninclude ld.so.conf.d/*.conf\n/usr/lib\n");
  await writeFile(join(root, "ld.so.conf.d", "b.conf"), "/opt/b # why\n");
  await writeFile(join(root, "ld.so.conf.d", "a.conf"), "/opt/a\n");
  await writeFile(join(root, "ld.so.conf.d", "a.other"), "/opt/other\n");
  const { configured, builtIn } = await readLoaderFolders(join(root, "ld.so.conf"));
  expect(configured).toEqual(["/opt/first", "/usr/lib", "/opt/a", "/opt/b"]);
  expect(builtIn).toContain("/usr/lib");
});
