import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const root = fileURLToPath(new URL("../..", import.meta.url));

const CODE = /\.(ts|tsx|mts|mjs|js)$/;
const SKIPPED = new Set(["node_modules", "dist", ".git", ".cache", ".gevulot", "coverage"]);

/** Packages by their names in imports. */
export const PACKAGES: Readonly<Record<string, string>> = {
  "gevulot-sdk": "sdk",
  "gevulot-shim": "shim",
  "gevulot-devnet": "devnet",
};

export interface Source {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
  readonly ast: ts.SourceFile;
  readonly imports: readonly Import[];
}

export interface Import {
  readonly specifier: string;
  /** Path of the file in this repository; undefined for what comes from elsewhere. */
  readonly target: string | undefined;
  /** `import type`, or a path in a string: nothing is loaded with the importing file. */
  readonly isLoaded: boolean;
  readonly isRelative: boolean;
}

/** All files that are ours, by path. */
export function listFiles(folder = ""): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (SKIPPED.has(entry.name) || path === "docs/api") return [];
    return entry.isDirectory() ? listFiles(path) : [path];
  });
}

export function readSources(): Map<string, Source> {
  const paths = listFiles().filter((path) => CODE.test(path));
  return new Map(paths.map((path) => [path, readSource(path)]));
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const ast = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  return { path, text, ast, imports: importsOf(ast, path) };
}

function importsOf(ast: ts.SourceFile, path: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, isLoaded: boolean) => {
    const isRelative = specifier.startsWith(".");
    const target = isRelative ? resolveFile(path, specifier) : resolvePackage(specifier);
    found.push({ specifier, target, isLoaded, isRelative });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      add(node.moduleSpecifier.text, node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword);
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      add(node.moduleSpecifier.text, !node.isTypeOnly);
    } else if (ts.isStringLiteralLike(node) && isPathOfCode(node)) {
      // Named by a string: `import("./x.ts")`, a worker, a script that is started.
      add(node.text, false);
    }
    ts.forEachChild(node, visit);
  };
  visit(ast);
  return found;
}

function isPathOfCode(node: ts.StringLiteralLike): boolean {
  const isSpecifier = ts.isImportDeclaration(node.parent) || ts.isExportDeclaration(node.parent);
  return !isSpecifier && CODE.test(node.text) && !/\s/.test(node.text);
}

/** A path beside the file, or one from the repository's root. */
function resolveFile(from: string, specifier: string): string | undefined {
  const path = relative(root, resolve(root, dirname(from), specifier));
  return existsSync(join(root, path)) ? path : undefined;
}

function resolvePackage(specifier: string): string | undefined {
  const [name, ...rest] = specifier.split("/");
  const folder = PACKAGES[name!];
  if (folder === undefined) return existsSync(join(root, specifier)) ? specifier : undefined;
  const entries = packageEntries(folder);
  return entries.find(({ key }) => key === ["." as string, ...rest].join("/"))?.source;
}

/** What a package gives to others, as its source files: its `exports` and `bin`. */
export function packageEntries(folder: string): { key: string; source: string }[] {
  const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as {
    exports?: Record<string, Record<string, string>>;
    bin?: Record<string, string>;
  };
  const exported = Object.entries(manifest.exports ?? {}).flatMap(([key, conditions]) =>
    Object.values(conditions).map((path) => ({ key, source: sourceOf(folder, path) })),
  );
  const bins = Object.entries(manifest.bin ?? {}).map(([key, path]) => ({ key, source: join(folder, path) }));
  return [...exported, ...bins];
}

/** `./dist/x.js` or `./dist/x.d.ts` to `src/x.ts`. */
export function sourceOf(folder: string, built: string): string {
  return join(folder, built)
    .replace("/dist/", "/src/")
    .replace(/(\.d\.ts|\.js)$/, ".ts");
}
