import { parseJson, signTransaction, stringifyJson, transactionToJson } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import type { AcceptOptions } from "../intake/intake.ts";
import { createSendMethods } from "./sendMethods.ts";

const secretKey = new Uint8Array(32).fill(5);
const run = signTransaction({ payload: { kind: "run", steps: [] }, nonce: 1n, secretKey });
const empty = signTransaction({ payload: { kind: "empty" }, nonce: 1n, secretKey });
const wire = (tx: typeof run | typeof empty): unknown => parseJson(transactionToJson(tx));

test("the intake gets the Run and its deadline", async () => {
  const taken: unknown[] = [];
  const { sendRun: method } = createSendMethods({
    accept: async (tx, options: AcceptOptions = {}) => void taken.push(tx.hash, options.runDeadlineMs),
  });
  expect(await method.run(method.parse({ transaction: wire(run), deadlineMs: 1_500 }))).toBeNull();
  expect(taken).toEqual([run.hash, 1_500]);
});

test.each([
  ["nothing", null, /expected object/],
  ["no deadline", { transaction: wire(run) }, /^deadlineMs: /],
  ["no time at all", { transaction: wire(run), deadlineMs: 0 }, /^deadlineMs: /],
  ["a part of a millisecond", { transaction: wire(run), deadlineMs: 1.5 }, /^deadlineMs: /],
  ["a thousand years", { transaction: wire(run), deadlineMs: 3.2e13 }, /^deadlineMs: /],
  ["no transaction", { deadlineMs: 5 }, /object/],
  ["what is no Run", { transaction: wire(empty), deadlineMs: 5 }, /it is a empty, and only a Run/],
])("refuses %s", (_, parameter, message) => {
  const { sendRun: method } = createSendMethods({ accept: async () => {} });
  expect(() => method.parse(parameter)).toThrow(message);
  expect(stringifyJson(parameter as never)).toBeDefined();
});
