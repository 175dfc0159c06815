import { relative } from "node:path";
import { type BuildFailure, build } from "esbuild";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    BUNDLE_FAILED: { readonly program: string; readonly problems: readonly string[] };
  }
}

/** CommonJS packages inside the bundle call require() for Node's own modules. */
const REQUIRE =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';
/** Node.js quotes the line of an uncaught error: one line of a megabyte would bury the message. */
const LINE_LIMIT = 160;
const MAX_PROBLEMS = 5;

/**
 * Makes one ES module of a JavaScript or TypeScript program and all that it imports. Small code starts faster: it
 * is minified.
 *
 * @throws GevulotError `BUNDLE_FAILED`
 */
export async function bundleProgram(program: string): Promise<Uint8Array> {
  const result = await build({
    entryPoints: [program],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20",
    minify: true,
    lineLimit: LINE_LIMIT,
    legalComments: "none",
    logLevel: "silent",
    banner: { js: REQUIRE },
  }).catch((cause: BuildFailure) => {
    throw bundleFailed(program, cause);
  });
  const output = result.outputFiles[0];
  if (!output) throw new Error("esbuild made no file");
  return output.contents;
}

function bundleFailed(program: string, cause: BuildFailure): GevulotError | Error {
  if (!Array.isArray(cause.errors)) return cause;
  const problems = cause.errors.slice(0, MAX_PROBLEMS).map(({ text, location }) => {
    return location ? `${relative(process.cwd(), location.file)}:${location.line}: ${text}` : text;
  });
  const message =
    `${program} can't be bundled: ${problems.join("; ")}. ` +
    "Install what it imports (npm install); native addons (.node) can't go into a bundle.";
  return new GevulotError("BUNDLE_FAILED", message, { context: { program, problems }, cause });
}
