import { randomBytes } from "node:crypto";
import * as portable from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { publicKeyOf, signMessage } from "./nativeKeys.ts";

test("keys and signatures are those of the portable code", () => {
  for (let round = 0; round < 20; round++) {
    const [secretKey, message] = [portable.generateSecretKey(), randomBytes(32)];
    expect(publicKeyOf(secretKey)).toBe(portable.publicKeyOf(secretKey));
    expect(Buffer.from(signMessage(message, secretKey)).toString("hex")).toBe(
      Buffer.from(portable.signMessage(message, secretKey)).toString("hex"),
    );
  }
});

test.each([
  ["zero", new Uint8Array(32)],
  ["too short", new Uint8Array(31).fill(1)],
  ["above the curve's order", new Uint8Array(32).fill(255)],
])("a key that is %s is refused", (_, key) => {
  expect(() => publicKeyOf(key)).toThrow(expect.objectContaining({ code: "SECRET_KEY_INVALID" }));
  expect(() => signMessage(new Uint8Array(32), key)).toThrow(
    expect.objectContaining({ code: "SECRET_KEY_INVALID" }),
  );
});
