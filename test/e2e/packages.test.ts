import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkVectors } from "../fixtures/checkVectors.ts";
import { root } from "../tidy/sources.ts";

/** The packages as a user gets them: packed, and installed in a folder of their own. */
const dir = mkdtempSync(join(tmpdir(), "packages-"));
const packed = join(dir, "packed");
const user = join(dir, "user");
const COMMANDS = ["gevulot", "gevulot-cli", "gevulot-devnet", "gevulot-node", "gevulot-shim"];
/** What a page loads at once; hash-wasm comes when a file is first hashed. */
const MAX_BROWSER_GZIP_BYTES = 25_000;
/** Names that a browser does not have; a bundle in which they are nothing can't have used them. */
const WITHOUT_NODE = "var process, Buffer, require, global, module, setImmediate;";

const execute = promisify(execFile);
const run = (command: string, args: readonly string[], cwd: string) =>
  execute(command, args, { cwd, timeout: 120_000, maxBuffer: 2 ** 24 });
const tool = (name: string) => join(root, "node_modules/.bin", name);

let tarballs: string[] = [];
beforeAll(async () => {
  await Promise.all([mkdir(packed), mkdir(user)]);
  for (const folder of ["sdk", "shim", "devnet"]) {
    await run("npm", ["pack", "--silent", "--pack-destination", packed], join(root, folder));
  }
  tarballs = (await readdir(packed)).map((name) => join(packed, name));
  writeFileSync(join(user, "package.json"), '{"name":"user","private":true}');
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs], user);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const ENTRIES = [
  ["gevulot-sdk", "GevulotClient"],
  ["gevulot-sdk/errors", "GevulotError"],
  ["gevulot-sdk/node", "createKeyFile"],
  ["gevulot-sdk/protocol", "signTransaction"],
  ["gevulot-shim", "run"],
  ["gevulot-shim/wire", "encodeTaskResponse"],
  ["gevulot-devnet", "startDevnet"],
] as const;

test.each(ENTRIES)("%s can be imported, and required from CommonJS", async (entry, name) => {
  const esm = `const { ${name} } = await import("${entry}"); console.log(typeof ${name});`;
  expect((await run("node", ["--input-type=module", "-e", esm], user)).stdout).toBe("function\n");
  const cjs = `const { ${name} } = require("${entry}"); console.log(typeof ${name});`;
  expect((await run("node", ["--input-type=commonjs", "-e", cjs], user)).stdout).toBe("function\n");
});

test("the types need nothing that is not installed with the packages, but those of Node.js", async () => {
  const names = ENTRIES.map(([entry, name], index) => `import { ${name} as e${index} } from "${entry}";`);
  writeFileSync(
    join(user, "all.mts"),
    [...names, `export default [${ENTRIES.map((_, i) => `e${i}`)}];`].join("\n"),
  );
  const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
  const strictly = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "false",
    "--target",
    "es2023",
    "--module",
    "nodenext",
  ];
  await run(tool("tsc"), [...strictly, "--lib", "es2023", ...types, "all.mts"], user).catch(({ stdout }) => {
    throw new Error(stdout);
  });
});

test("a package holds what it names, and no more", async () => {
  for (const tarball of tarballs) {
    const names = (await run("tar", ["tzf", tarball], dir)).stdout.split("\n");
    expect(names.filter((name) => name.includes("tsbuildinfo") || /\.test\./.test(name))).toEqual([]);
    const map = names.find((name) => name.endsWith("dist/index.js.map")) ?? "";
    const { sourcesContent } = JSON.parse((await run("tar", ["xzOf", tarball, map], dir)).stdout);
    expect(sourcesContent, `the sources of ${map}`).toHaveLength(1);
    if (tarball.includes("gevulot-devnet-")) expect(names).toContain("package/dist/explorer-page/index.html");
  }
});

test("gevulot explain knows the codes, as installed", async () => {
  const { stdout } = await run(join(user, "node_modules/.bin/gevulot"), ["explain", "no_key"], user);
  expect(stdout).toMatch(/^NO_KEY\nCause: .+\nMend: .+\n$/);
});

test.each(COMMANDS)("%s --help and --version", async (command) => {
  const bin = join(user, "node_modules/.bin", command);
  expect((await run(bin, ["--help"], user)).stdout).toContain("Commands:");
  expect((await run(bin, ["--version"], user)).stdout).toBe("0.1.0\n");
});

test.each(["sdk", "shim", "devnet"])("publint and attw find nothing wrong in %s", async (folder) => {
  const tarball = tarballs.find((path) => path.includes(`gevulot-${folder}-`)) ?? "";
  const { stdout } = await run(tool("publint"), [tarball], dir);
  expect(stdout).not.toMatch(/^(Errors|Warnings):/m);
  // ES modules alone: Node.js 20.19 requires them too, which attw does not know yet.
  await run(tool("attw"), ["--no-definitely-typed", "--profile", "esm-only", tarball], dir);
});

/**
 * An entry as a browser would load it. Gives the path of the file that a page names, and the texts of what comes with it at
 * once: itself and what it imports, but not what it imports later.
 */
async function bundle(entry: string, folder: string): Promise<{ path: string; texts: string[] }> {
  const { metafile } = await build({
    absWorkingDir: dir,
    metafile: true,
    stdin: { contents: `export * from "${entry}";`, resolveDir: user },
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    banner: { js: WITHOUT_NODE },
    outdir: join(dir, folder),
    outExtension: { ".js": ".mjs" },
    logLevel: "silent",
  });
  const loaded = new Set<string>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const each of metafile.outputs[path]?.imports ?? [])
      if (each.kind === "import-statement") load(each.path);
  };
  load(`${folder}/stdin.mjs`);
  const texts = await Promise.all([...loaded].map((path) => readFile(join(dir, path), "utf8")));
  return { path: join(dir, folder, "stdin.mjs"), texts };
}

test("the SDK's browser entry needs no module of Node.js, and is small", async () => {
  const { path, texts } = await bundle("gevulot-sdk", "entry");
  const bytes = texts.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0);
  console.log(`the browser entry: ${bytes} bytes gzip in ${texts.length} files`);
  // As a module's name; a field may be called so.
  expect(texts.join()).not.toMatch(/["'`]node:/);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(MAX_BROWSER_GZIP_BYTES);

  const { GevulotClient, generateKey } = await import(path);
  const { secretKey, publicKey } = generateKey();
  expect(await new GevulotClient({ key: secretKey }).getPublicKey()).toBe(publicKey);
});

test("what a browser loads of the protocol meets the golden vectors", async () => {
  expect(checkVectors(await import((await bundle("gevulot-sdk/protocol", "protocol")).path))).toBe(119);
});
