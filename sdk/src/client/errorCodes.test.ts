import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SOURCE = fileURLToPath(new URL("..", import.meta.url));

function importedBy(list: string): string[] {
  const text = readFileSync(join(SOURCE, list), "utf8");
  const paths = [...text.matchAll(/^import "(.+)";$/gm)].map(([, path]) => path!);
  return paths.map((path) => relative(SOURCE, resolve(SOURCE, dirname(list), path)));
}

test("the lists name every file that declares error codes", () => {
  const declaring = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
    // The command line prints its errors, and throws them at nobody.
    .filter((path) => !path.startsWith("cli/"))
    .filter((path) => /^declare module "\S+\/errors\.ts"/m.test(readFileSync(join(SOURCE, path), "utf8")));
  expect(declaring.length).toBeGreaterThan(20);
  const listed = ["client", "node", "pipeline"].flatMap((folder) => importedBy(`${folder}/errorCodes.ts`));
  expect(listed.sort()).toEqual(declaring.sort());
});
