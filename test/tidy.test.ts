import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { climbingImports, deadFiles, importCycles, isTest } from "./tidy/importRules.ts";
import { fileSizes, longFunctions } from "./tidy/sizes.ts";
import { listFiles, PACKAGES, packageEntries, readSources, root, type Source } from "./tidy/sources.ts";

const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
const MAX_TEXT_BYTES = 2_000_000;

const sources = readSources();
const published = Object.values(PACKAGES);
const json = (path: string) => JSON.parse(readFileSync(join(root, path), "utf8"));

const HINT = ": give it one in importRules.ts";

function fakeSources(...files: [path: string, imports: string[]][]): Map<string, Source> {
  const ast = [...sources.values()][0]!.ast;
  const imports = (targets: string[]) =>
    targets.map((target) => ({ specifier: target, target, isLoaded: true, isRelative: false }));
  return new Map(files.map(([path, targets]) => [path, { path, text: "", ast, imports: imports(targets) }]));
}

describe("imports", () => {
  it("lead to files that exist", () => {
    const missing = [...sources.values()].flatMap(({ path, imports }) =>
      imports
        .filter(({ isRelative, isLoaded, target }) => isRelative && isLoaded && target === undefined)
        .filter(({ specifier }) => !specifier.includes("/dist/"))
        .map(({ specifier }) => `${path} imports ${specifier}`),
    );
    expect(missing).toEqual([]);
  });

  it("make no cycles", () => {
    expect(importCycles(sources)).toEqual([]);
  });

  it("don't climb", () => {
    expect(climbingImports(sources)).toEqual([]);
  });

  it.each([
    ["devnet/src/store/a.ts", "devnet/src/rpc/b.ts", "store lies below rpc"],
    ["sdk/src/protocol/a.ts", "sdk/src/client/b.ts", "protocol lies below client"],
    ["sdk/src/protocol/a.ts", "sdk/src/brand-new/b.ts", "brand-new is in no layer"],
    ["shim/src/a.ts", "sdk/src/index.ts", "shim must not know sdk"],
    ["devnet/src/store/a.ts", "test/tidy/sources.ts", "devnet must not know test"],
  ])("from %s to %s would be found", (from, to, problem) => {
    const sources = fakeSources([from, [to]], [to, []]);
    expect(climbingImports(sources)).toEqual([
      `${from} imports ${to}: ${problem}${/layer$/.test(problem) ? HINT : ""}`,
    ]);
  });

  it("in a cycle and to nowhere would be found", () => {
    const sources = fakeSources(["a.ts", ["b.ts"]], ["b.ts", ["c.ts"]], ["c.ts", ["b.ts"]], ["d.ts", []]);
    expect(importCycles(sources)).toEqual(["b.ts -> c.ts -> b.ts"]);
    expect(deadFiles(sources, ["a.ts"])).toEqual(["d.ts"]);
  });

  it("are found at all", () => {
    const count = [...sources.values()]
      .flatMap(({ imports }) => imports)
      .filter(({ target }) => target).length;
    expect(count).toBeGreaterThan(sources.size);
  });
});

it("has no dead files", () => {
  const entries = [...sources.keys()].filter(
    (path) =>
      path.endsWith(".test.ts") ||
      // Started by name: `npm run …`, examples, configurations.
      /^scripts\/[^/]+$/.test(path) ||
      /^test\/bench\/[^/]+$/.test(path) ||
      path === "test/fuzz/decoders.ts" ||
      path === "devnet/explorer/main.tsx" ||
      /^examples\/([^/]+\/)?(program\/)?[^/]+$/.test(path) ||
      /^[^/]+$/.test(path),
  );
  for (const folder of published) {
    for (const { source } of packageEntries(folder)) entries.push(source);
    if (existsSync(join(root, folder, "bin"))) entries.push(...builtBy(folder));
  }
  expect(deadFiles(sources, entries)).toEqual([]);
});

/** What the small files in `bin` load of `dist`. */
function builtBy(folder: string): string[] {
  return [...sources.values()]
    .filter(({ path }) => path.startsWith(`${folder}/bin/`))
    .flatMap(({ imports }) => imports.map(({ specifier }) => specifier))
    .filter((specifier) => specifier.startsWith("../dist/"))
    .map((specifier) => specifier.replace("../dist/", `${folder}/src/`).replace(/\.js$/, ".ts"));
}

describe("sizes", () => {
  it(`keeps files within ${MAX_FILE_LINES} lines`, () => {
    const code = [...sources.values()];
    const sizes = fileSizes(code.filter(({ path }) => !isTest(path)));
    console.log(
      `${sizes.files} files: median ${sizes.median}, 90th percentile ${sizes.percentile90} lines; largest ` +
        sizes.largest.map(({ path, lines }) => `${path} ${lines}`).join(", "),
    );
    const large = fileSizes(code).largest.filter(({ lines }) => lines > MAX_FILE_LINES);
    expect(large).toEqual([]);
  });

  it(`keeps functions within ${MAX_FUNCTION_LINES} lines`, () => {
    const code = [...sources.values()].filter(({ path }) => !path.endsWith(".test.ts"));
    expect(code.flatMap((source) => longFunctions(source, MAX_FUNCTION_LINES))).toEqual([]);
  });
});

describe("texts", () => {
  // In parts, so that this file doesn't hold them itself.
  const FOREIGN = [
    ["/work", "/main"],
    ["/work", "/shared"],
    ["/tmp", "/brief"],
    ["registry.", "npmjs.org"],
    ["proxy.", "golang.org"],
    ["_auth", "Token"],
    ["arti", "factory"],
  ].map((parts) => parts.join(""));

  it("name no machine, mirror or registry of whoever wrote them", () => {
    const found = listFiles().flatMap((path) => {
      const bytes = readFileSync(join(root, path));
      if (bytes.length > MAX_TEXT_BYTES || bytes.includes(0)) return [];
      const text = bytes.toString("utf8");
      return FOREIGN.filter((word) => text.includes(word)).map((word) => `${path}: ${word}`);
    });
    expect(found).toEqual([]);
  });

  it("lock file: checksums, and no download addresses", () => {
    const { packages } = json("package-lock.json") as { packages: Record<string, LockEntry> };
    const wrong = Object.entries(packages).filter(
      ([path, entry]) =>
        path.includes("node_modules/") &&
        !entry.link &&
        (entry.integrity === undefined || entry.resolved !== undefined),
    );
    expect(wrong.map(([path]) => path)).toEqual([]);
  });
});

interface LockEntry {
  readonly link?: boolean;
  readonly integrity?: string;
  readonly resolved?: string;
}

describe.each(published)("package in %s", (folder) => {
  const manifest = json(`${folder}/package.json`);

  it("holds every file that it says it publishes", () => {
    const { prepack = "" } = (manifest.scripts ?? {}) as { prepack?: string };
    const built = (name: string) => name === "dist" || name.startsWith("!") || prepack.includes(`'${name}'`);
    const missing = (manifest.files as string[]).filter(
      (name) => !built(name) && !existsSync(join(root, folder, name)),
    );
    expect(missing).toEqual([]);
  });

  it("has sources for its entries", () => {
    const missing = packageEntries(folder).filter(({ source }) => !existsSync(join(root, source)));
    expect(missing).toEqual([]);
  });

  it("has its entries among the API pages", () => {
    // Without a file of its own, typedoc takes the entries of the manifest.
    const own = `${folder}/typedoc.json`;
    const entries = packageEntries(folder)
      .map(({ source }) => source.slice(folder.length + 1))
      .filter((source) => source.startsWith("src/"));
    const shown = existsSync(join(root, own)) ? (json(own).entryPoints as string[]) : entries;
    // What browsers get is a part of what Node.js gets.
    const missing = entries.filter((source) => !shown.includes(source) && source !== "src/browser.ts");
    expect(missing).toEqual([]);
  });

  it.each(["LICENSE-MIT", "LICENSE-APACHE"])("carries %s", (name) => {
    expect(readFileSync(join(root, folder, name), "utf8")).toBe(readFileSync(join(root, name), "utf8"));
  });

  it("pins its dependencies, and the others at the common version", () => {
    const { version } = json("sdk/package.json");
    expect(manifest.version).toBe(version);
    for (const [name, wanted] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect([name, wanted]).toEqual([name, expect.stringMatching(/^\d/)]);
      if (name in PACKAGES) expect(wanted).toBe(version);
    }
  });
});
