import { existsSync } from "node:fs";
import { join } from "node:path";
import { buildExplorerPage } from "../../devnet/explorer/build.mjs";
import { run } from "./run.mjs";
import { createStamps, hashOf } from "./stamps.mjs";
import { SetupStop } from "./steps.mjs";

const PACKAGES = ["sdk", "shim", "devnet"];

/**
 * Compiles the packages and the explorer's page, but not the tests: the demo doesn't need those.
 *
 * @param {string} root
 */
export async function build(root) {
  const stamps = createStamps(root);
  const inputs = PACKAGES.flatMap((name) => [`${name}/src`, `${name}/tsconfig.json`, `${name}/package.json`]);
  const hash = await hashOf(
    root,
    [...inputs, "devnet/explorer", "sdk/tsconfig.core.json", "tsconfig.base.json", "package-lock.json"],
    (path) => !path.endsWith(".test.ts"),
  );
  const page = join(root, "devnet/dist/explorer-page/index.html");
  const isBuilt =
    existsSync(page) && PACKAGES.every((name) => existsSync(join(root, name, "dist", "index.js")));
  if (isBuilt && (await stamps.fits("build", hash))) return { text: "up to date", did: false };
  const { code, output } = await run(
    [process.execPath, "node_modules/typescript/bin/tsc", "-b", ...PACKAGES],
    { cwd: root },
  );
  if (code !== 0) throw new SetupStop(`The build failed:\n${output}`);
  await buildExplorerPage();
  await stamps.set("build", hash);
  return { text: `compiled ${PACKAGES.join(", ")}`, did: true };
}
