import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeFakeNanos, tinyProgram } from "../../../../test/fixtures/fakeNanos.ts";
import { buildNanosImage } from "./buildNanosImage.ts";
import { isNanosVsockOnly } from "./nanosVsockOnly.ts";

let root: string;
const tiny = () => join(root, "tiny");
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-vsock-only-"));
  await makeFakeNanos(join(root, "ops"), "hang");
  await tinyProgram(tiny());
});
afterAll(() => rm(root, { recursive: true, force: true }));

const SERVICE = "/vm_service.VMService/GetTask";
const MIB = 2 ** 20;

test.each([
  ["that calls the service", SERVICE, true],
  ["that calls it, over the border of what is read at once", `${"x".repeat(MIB - 170)}${SERVICE}`, true],
  ["that knows files too", `${SERVICE} /workspace/task.json`, false],
  ["that knows files, named long before", `task.json${"x".repeat(2 * MIB)}${SERVICE}`, false],
  ["that knows neither", "hello", false],
])("a program %s", async (_, names, isOnly) => {
  const program = join(root, "program");
  await writeFile(program, Buffer.concat([await readFile(tiny()), Buffer.from(names)]), { mode: 0o755 });
  const kernelFiles = { opsHome: join(root, "ops") };
  const outputPath = join(root, "program.img");
  const { path } = await buildNanosImage({ program, workingDir: root, outputPath, kernelFiles });
  expect(await isNanosVsockOnly(path)).toBe(isOnly);
});

test("reading it ends when the task does", async () => {
  const outputPath = join(root, "cancelled.img");
  const kernelFiles = { opsHome: join(root, "ops") };
  const { path } = await buildNanosImage({ program: tiny(), workingDir: root, outputPath, kernelFiles });
  await expect(isNanosVsockOnly(path, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
});
