import { expect, test } from "vitest";
import { startWireNode } from "../../../test/fixtures/wireNode.ts";
import { generateKey } from "../context/signer.ts";
import { GevulotClient } from "../node/gevulotClient.ts";
import { parseJson } from "../protocol/json/parseJson.ts";
import { parseTransaction, transactionToJson } from "../protocol/json/transactionJson.ts";
import { verifyTransaction } from "../protocol/verifyTransaction.ts";

test("signed here without a node, carried as text, sent there by a client without a key", async () => {
  const signing = new GevulotClient({ url: "http://127.0.0.1:1", key: generateKey() });
  const payload = { kind: "cancel", parent: "ab".repeat(32) } as const;
  const text = transactionToJson(await signing.signTransaction(payload, { nonce: 2n ** 64n - 1n }));

  const node = await startWireNode();
  try {
    let sent = "";
    node.methods.sendTransaction = (parameter) => {
      sent = parameter;
      return '{"Ok":null}';
    };
    const transaction = parseTransaction(parseJson(text));
    expect(await new GevulotClient({ url: node.url }).sendTransaction(transaction)).toBe(transaction.hash);
    expect(sent).toBe(text);
    expect(() => verifyTransaction(transaction)).not.toThrow();
    expect(transaction.payload).toEqual(payload);
  } finally {
    await node.close();
  }
  await expect(
    new GevulotClient({ url: "http://127.0.0.1:1" }).signTransaction(payload),
  ).rejects.toMatchObject({ code: "NO_KEY" });
});
