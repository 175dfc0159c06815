import { fileURLToPath } from "node:url";
import * as loader from "@grpc/proto-loader";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeResult,
  decodeResultResponse,
  decodeTaskResponse,
  encodeResult,
  encodeResultResponse,
  encodeTaskResponse,
  type ResultMessage,
  type TaskResponse,
} from "./messages.ts";
import { ProtobufError } from "./protobuf.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("by hand", () => {
  test.each<[string, TaskResponse, string]>([
    ["Unavailable", { kind: "error", error: "Unavailable" }, "10 00"],
    ["Failed", { kind: "error", error: "Failed" }, "10 01"],
    [
      "a task",
      { kind: "task", task: { txHash: "ab", name: "n", args: ["", "é"], files: ["/w"] } },
      "0a 11  0a 02 6162  12 01 6e  1a 00  1a 02 c3a9  22 02 2f77",
    ],
    [
      "a task without anything",
      { kind: "task", task: { txHash: "", name: "", args: [], files: [] } },
      "0a 00",
    ],
  ])("GetTask's answer: %s", (_, message, bytes) => {
    expect(encodeTaskResponse(message)).toEqual(hex(bytes));
    expect(decodeTaskResponse(hex(bytes))).toEqual(message);
  });

  test.each<[string, ResultMessage, string]>([
    [
      "a result",
      {
        txHash: "ab",
        result: { kind: "task", data: hex("09"), files: [{ path: "/w", checksum: hex("0102") }] },
      },
      "0a 02 6162  12 0d  12 01 09  1a 08  0a 02 2f77  12 02 0102",
    ],
    ["nothing", { txHash: "ab", result: { kind: "task", data: hex(""), files: [] } }, "0a 02 6162  12 00"],
    ["Failed", { txHash: "ab", result: { kind: "error", error: "Failed" } }, "0a 02 6162  18 01"],
  ])("SubmitResult: %s", (_, message, bytes) => {
    expect(encodeResult(message)).toEqual(hex(bytes));
    const decoded = decodeResult(hex(bytes));
    expect(encodeResult(decoded)).toEqual(hex(bytes));
    expect(decoded.txHash).toBe(message.txHash);
  });

  test("continue", () => {
    expect(encodeResultResponse(false)).toEqual(hex(""));
    expect(encodeResultResponse(true)).toEqual(hex("08 01"));
    expect(["", "08 00", "08 01", "10 01"].map((text) => decodeResultResponse(hex(text)))).toEqual([
      false,
      false,
      true,
      false,
    ]);
  });
});

test.each([
  ["an empty answer means none yet", "", { kind: "error", error: "Unavailable" }],
  ["unknown fields are skipped", "1a 01 00 10 01 78 05", { kind: "error", error: "Failed" }],
  ["an unknown error is one", "10 07", { kind: "error", error: "Failed" }],
  ["of two answers the last counts", "0a 00 10 01", { kind: "error", error: "Failed" }],
  ["a field of another type is unknown", "08 01 10 01", { kind: "error", error: "Failed" }],
])("%s", (_, bytes, message) => {
  expect(decodeTaskResponse(hex(bytes))).toEqual(message);
});

test.each([
  ["no result", "0a 02 6162", /no result/],
  ["a text that is no UTF-8", "0a 01 ff 18 01", /field 1 is no UTF-8/],
  ["a path that is no UTF-8", "12 05 1a 03 0a 01 c3", /no UTF-8/],
  ["a result longer than its message", "12 05 00", /longer/],
  ["a file longer than its result", "12 02 1a 05", /longer/],
])("SubmitResult refuses %s", (_, bytes, problem) => {
  expect(() => decodeResult(hex(bytes))).toThrow(problem);
  expect(() => decodeResult(hex(bytes))).toThrow(ProtobufError);
});

test.each([
  ["a message", Buffer.alloc(32 * 2 ** 20, hex("78 00"))],
  ["a result", Buffer.concat([hex("12 80 80 80 08"), Buffer.alloc(16 * 2 ** 20, hex("1a 00"))])],
  ["a file", Buffer.concat([hex("12 85 80 80 08 1a 80 80 80 08"), Buffer.alloc(16 * 2 ** 20, hex("78 00"))])],
])("SubmitResult refuses %s of millions of fields, and soon", (_, bytes) => {
  const before = process.cpuUsage();
  expect(() => decodeResult(bytes)).toThrow(/fields/);
  expect(process.cpuUsage(before).user).toBeLessThan(1_000_000);
});

/** protobufjs, by the .proto file. */
const peer = (() => {
  const definition = loader.loadSync(
    fileURLToPath(new URL("../../proto/vm_service.proto", import.meta.url)),
    {
      keepCase: true,
      defaults: true,
      arrays: true,
      enums: String,
    },
  );
  const service = definition["vm_service.VMService"] as loader.ServiceDefinition;
  return { getTask: service.GetTask as Method, submitResult: service.SubmitResult as Method };
})();
type Method = loader.ServiceDefinition[string];

describe("against protobufjs", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 20 });
  const task = fc.record({ txHash: text, name: text, args: fc.array(text), files: fc.array(text) });
  const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each));

  test("tasks, both ways", () => {
    fc.assert(
      fc.property(task, (message) => {
        const ours = encodeTaskResponse({ kind: "task", task: message });
        const { txHash: tx_hash, ...rest } = message;
        expect(peer.getTask?.responseDeserialize(ours)).toMatchObject({ task: { tx_hash, ...rest } });
        const theirs = peer.getTask?.responseSerialize({ task: { tx_hash, ...rest } }) as Buffer;
        expect(decodeTaskResponse(theirs)).toEqual({ kind: "task", task: message });
      }),
    );
  });

  test("results, both ways", () => {
    const files = fc.array(fc.record({ path: text, checksum: bytes }));
    fc.assert(
      fc.property(text, bytes, files, (txHash, data, given) => {
        const message: ResultMessage = { txHash, result: { kind: "task", data, files: given } };
        const theirs = { tx_hash: txHash, task: { data, files: given } };
        expect(peer.submitResult?.requestDeserialize(encodeResult(message))).toMatchObject(theirs);
        const decoded = decodeResult(peer.submitResult?.requestSerialize(theirs) as Buffer);
        expect(encodeResult(decoded)).toEqual(encodeResult(message));
      }),
    );
  });
});
