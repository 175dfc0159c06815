import { readFileSync } from "node:fs";
import { hexToBytes } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { decodeMessage } from "../wire/message.ts";
import { zstdStored, zstdText } from "./zstd.ts";

test.each([0, 1, 8_000, 131_072, 131_073, 1_000_000])("%i bytes are stored and read back", (length) => {
  const text = "gevulot_cpus_total 64\n".repeat(length / 22 + 1).slice(0, length);
  expect(zstdText(zstdStored(Buffer.from(text)))).toBe(text);
});

test("the metrics of the golden vector, squeezed by another encoder", () => {
  const path = new URL("../../../../test/vectors/p2p.json", import.meta.url);
  const { messages } = JSON.parse(readFileSync(path, "utf8")) as {
    messages: { name: string; bytes_versioned_1: string }[];
  };
  const vector = messages.find(({ name }) => name.startsWith("response metrics"))!;
  const message = decodeMessage(hexToBytes(vector.bytes_versioned_1));
  const metrics =
    message.type === "response" && message.diagnostics.kind === "metrics" && message.diagnostics;
  expect(zstdText((metrics as { bytes: Uint8Array }).bytes)).toMatch(/^# /);
});

test.each([
  ["nothing", ""],
  ["another format", "1f8b0800"],
  ["a frame that is cut", "28b52ffda0ff00000079"],
  ["a frame that says it has 4 GiB", "28b52ffda0ffffffff010000"],
  ["a block of 1 MiB and more from one byte", "28b52ffda0ffffff0f0b008041"],
])("no text comes of %s", (_, hex) => {
  expect(zstdText(hexToBytes(hex)) ?? "").toBe("");
});
