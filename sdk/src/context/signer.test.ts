import { describe, expect, test } from "vitest";
import { createSigner } from "./signer.ts";

const secret = "ab".repeat(32);

describe("a key that is no key", () => {
  test.each([`0x${secret}`, `${secret}\n`, ` ${secret}`, secret.slice(1), "", `${secret.slice(2)}zz`])(
    "%j is refused, and no part of it is in the error",
    (text) => {
      let error: unknown;
      try {
        createSigner(text);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: "SECRET_KEY_INVALID" });
      expect(JSON.stringify([String(error), error])).not.toContain("abab");
    },
  );

  test("either case is a key", () => {
    expect(createSigner(secret.toUpperCase()).publicKey).toBe(createSigner(secret).publicKey);
  });
});
