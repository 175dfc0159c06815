import { expect, test } from "vitest";
import type { ElfFile } from "./elf.ts";
import { createLoaderQuestion } from "./loaderQuestion.ts";

const elf = (kind: ElfFile["kind"]): ElfFile => ({
  kind,
  interpreter: "/lib64/ld-linux-x86-64.so.2",
  needed: ["libc.so.6"],
  rpath: [],
  runpath: [],
  hasAudit: false,
  hasPvhEntry: false,
});

test("the loader isn't asked about a program of fixed addresses", async () => {
  expect(await createLoaderQuestion(process.execPath, elf("executable"))("libc.so.6")).toBeUndefined();
  expect(await createLoaderQuestion("/bin/sh", elf("shared"))("libc.so.6")).toMatch(/^\/.*libc/);
});

test("who stops it gets no answer", async () => {
  const ask = createLoaderQuestion("/bin/sh", elf("shared"), AbortSignal.abort());
  await expect(ask("libc.so.6")).rejects.toMatchObject({ name: "AbortError" });
});
