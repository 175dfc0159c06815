import type { Source } from "./sources.ts";

/**
 * What may import what. A folder may import those in lines below it, and itself; folders of one line are each other's
 * equals. A file directly in `src` is named with its ending.
 */
export const LAYERS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  "sdk/src": [
    ["index.ts", "browser.ts"],
    ["cli"],
    ["node"],
    ["client", "pipeline"],
    ["actions"],
    // What an action works on: transport, platform and signer together.
    ["context"],
    ["transport"],
    ["runStatus.ts", "runTrace.ts"],
    ["protocol"],
    ["errors.ts"],
  ],
  "devnet/src": [
    ["vitest"],
    ["cli.ts", "nodeCli.ts", "index.ts"],
    // Names what all the others declare.
    ["errorCodes.ts"],
    ["commands"],
    ["logs", "doctor"],
    ["matchers.ts"],
    ["up", "explorer", "pipeline", "state", "operator", "testcontainers"],
    ["node.ts"],
    ["nodeNetwork.ts"],
    ["rpc", "p2p"],
    ["intake"],
    ["schedule"],
    ["result", "faults"],
    ["broadcast", "events", "trace"],
    ["files"],
    ["store"],
    ["vm"],
    ["image"],
    ["observe"],
    ["http", "pci"],
    ["options.ts"],
    ["listen.ts"],
    ["portOwner.ts", "nativeKeys.ts", "hostPort.ts"],
    [
      "abandonedFolders.ts",
      "disposeStack.ts",
      "processTable.ts",
      "removeTree.ts",
      "requireFileTarget.ts",
      "claimFolder.ts",
      "rounds.ts",
    ],
  ],
};

/** Packages that a package's sources may import. */
const PACKAGES_BELOW: Readonly<Record<string, readonly string[]>> = {
  sdk: [],
  shim: [],
  devnet: ["sdk", "shim"],
};

export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.startsWith("test/");
}

/** Imports that go up, to the side, or out of the package; each as a sentence. */
export function climbingImports(sources: ReadonlyMap<string, Source>): string[] {
  return [...sources.values()]
    .filter((source) => !isTest(source.path))
    .flatMap((source) =>
      source.imports.flatMap(({ target, isRelative, isLoaded }) => {
        if (target === undefined) return [];
        // Types may come from above: what is handed in as a dependency often does.
        const layer = isLoaded ? layerProblem(source.path, target) : undefined;
        const problem = packageProblem(source.path, target, isRelative) ?? layer;
        return problem === undefined ? [] : [`${source.path} imports ${target}: ${problem}`];
      }),
    );
}

function packageProblem(from: string, to: string, isRelative: boolean): string | undefined {
  const [fromPackage, toPackage] = [from.split("/")[0]!, to.split("/")[0]!];
  const below = PACKAGES_BELOW[fromPackage];
  if (below === undefined || fromPackage === toPackage) {
    return !isTest(from) && below !== undefined && isTest(to) ? "a test" : undefined;
  }
  if (isRelative) return "out of the package by a relative path";
  return below.includes(toPackage) ? undefined : `${fromPackage} must not know ${toPackage}`;
}

function layerProblem(from: string, to: string): string | undefined {
  for (const [base, layers] of Object.entries(LAYERS)) {
    if (!from.startsWith(`${base}/`) || !to.startsWith(`${base}/`)) continue;
    const [fromLayer, toLayer] = [layerOf(base, from), layerOf(base, to)];
    const rank = (layer: string) => layers.findIndex((line) => line.includes(layer));
    if (rank(fromLayer) < 0) return `${fromLayer} is in no layer: give it one in importRules.ts`;
    // Without a layer of its own it is told when its own imports are looked at, or here.
    if (rank(toLayer) < 0) return `${toLayer} is in no layer: give it one in importRules.ts`;
    if (rank(toLayer) < rank(fromLayer)) return `${fromLayer} lies below ${toLayer}`;
  }
  return undefined;
}

function layerOf(base: string, path: string): string {
  return path.slice(base.length + 1).split("/")[0]!;
}

/** Loops of files that load each other, each as `a -> b -> a`. */
export function importCycles(sources: ReadonlyMap<string, Source>): string[] {
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    if (at >= 0) {
      cycles.push([...way.slice(at), path].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    for (const next of sources.get(path)?.imports ?? []) {
      if (next.isLoaded && next.target !== undefined) walk(next.target, [...way, path]);
    }
    done.add(path);
  };
  for (const path of sources.keys()) walk(path, []);
  return cycles;
}

/** Files that no entry reaches. */
export function deadFiles(sources: ReadonlyMap<string, Source>, entries: readonly string[]): string[] {
  const reached = new Set<string>();
  const walk = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const { target } of sources.get(path)?.imports ?? []) if (target !== undefined) walk(target);
  };
  for (const entry of entries) walk(entry);
  return [...sources.keys()].filter((path) => !reached.has(path) && !/\.d\.[mc]?ts$/.test(path));
}
