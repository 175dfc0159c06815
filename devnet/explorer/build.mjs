import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
export const PAGE_FOLDER = fileURLToPath(new URL("../dist/explorer-page", import.meta.url));

/**
 * Bundles the explorer's page. Names hold a hash of what is in the file, so that browsers may keep them.
 *
 * @param {string} [outFolder]
 * @returns {Promise<{ bytes: number }>}
 */
export async function buildExplorerPage(outFolder = PAGE_FOLDER) {
  // Loaded here, as set-up reads this file before there are packages.
  const { build } = await import("esbuild");
  const { metafile, outputFiles } = await build({
    absWorkingDir: HERE,
    entryPoints: { explorer: "main.tsx", style: "style.css" },
    outdir: outFolder,
    entryNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "eof",
    metafile: true,
    write: false,
  });
  const named = (/** @type {string} */ ending) =>
    basename(Object.keys(metafile.outputs).find((path) => path.endsWith(ending)) ?? "");
  const template = await readFile(join(HERE, "index.html"), "utf8");
  const html = template.replace("{script}", named(".js")).replace("{style}", named(".css"));
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), Buffer.from(contents)]));
  files.set("index.html", Buffer.from(html));
  files.set("icon.svg", await readFile(join(HERE, "icon.svg")));

  await mkdir(outFolder, { recursive: true });
  // The index comes last, so that it never names what is not there.
  for (const [name, content] of [...files].sort(([a]) => (a === "index.html" ? 1 : -1)))
    await writeFile(join(outFolder, name), content);
  for (const name of await readdir(outFolder)) if (!files.has(name)) await rm(join(outFolder, name));
  return { bytes: [...files.values()].reduce((sum, { length }) => sum + length, 0) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildExplorerPage();
