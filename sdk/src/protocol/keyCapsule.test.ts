import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hexToBytes } from "./hex.ts";
import { openKeyCapsule, sealKeyCapsule } from "./keyCapsule.ts";
import { generateSecretKey, publicKeyOf } from "./keys.ts";

interface Vector {
  readonly bytes: string;
  readonly plaintext: string;
  readonly recipient_secret_keys: readonly string[];
  readonly stranger_secret_key: string;
}
const path = new URL("../../../test/vectors/capsules.json", import.meta.url);
const vectors: Vector[] = JSON.parse(readFileSync(path, "utf8"));
const invalid = { code: "CAPSULE_INVALID" };

describe.each(vectors)("capsule for $recipient_secret_keys.length of the existing network", (vector) => {
  const capsule = hexToBytes(vector.bytes);

  test("each recipient opens it, a stranger does not", async () => {
    for (const key of vector.recipient_secret_keys) {
      expect(await openKeyCapsule(capsule, hexToBytes(key))).toEqual(hexToBytes(vector.plaintext));
    }
    await expect(openKeyCapsule(capsule, hexToBytes(vector.stranger_secret_key))).rejects.toMatchObject(
      invalid,
    );
  });

  test("one that we seal has the same lengths, and opens", async () => {
    const keys = vector.recipient_secret_keys.map(hexToBytes);
    const sealed = await sealKeyCapsule(hexToBytes(vector.plaintext), keys.map(publicKeyOf));
    expect(sealed.length).toBe(capsule.length);
    for (const key of keys) expect(await openKeyCapsule(sealed, key)).toEqual(hexToBytes(vector.plaintext));
  });
});

describe("a damaged capsule", () => {
  const capsule = hexToBytes(vectors[0]?.bytes ?? "");
  const key = hexToBytes(vectors[0]?.recipient_secret_keys[0] ?? "");

  test.each([0, 8, 100, 140, 300])("with byte %i changed is refused", async (at) => {
    const changed = capsule.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    await expect(openKeyCapsule(changed, key)).rejects.toMatchObject(invalid);
  });

  test.each([0, 7, 200, capsule.length - 1])("cut at %i is refused", async (length) => {
    await expect(openKeyCapsule(capsule.slice(0, length), key)).rejects.toMatchObject(invalid);
  });

  test("wrong keys are told as such", async () => {
    await expect(openKeyCapsule(capsule, new Uint8Array(32))).rejects.toMatchObject({
      code: "SECRET_KEY_INVALID",
    });
    await expect(sealKeyCapsule(capsule, ["04"])).rejects.toMatchObject({ code: "PUBLIC_KEY_INVALID" });
    const key = generateSecretKey();
    expect(
      await openKeyCapsule(await sealKeyCapsule(new Uint8Array(), [publicKeyOf(key)]), key),
    ).toHaveLength(0);
  });
});
