import { describe, expect, it } from "vitest";
import { checksumAddress, recoverAddress, signedText } from "./requestSignature.ts";

const TEXT = "00000000-0000-4000-8000-000000000001&131072";
const SIGNER = "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const SIGNATURE =
  "8b05f988ff8184721d82eb15a36e283b9c340335bae359cd34d453dd50a1062a" +
  "74833841c6ba8cc233cbe099aa5c8c346b936452ad04f1249af4c0f168d4c3ae1b";

describe("signedText", () => {
  it("has the block number where the request has one, also when it is 0", () => {
    const fields = { proofId: "p", segSize: 1024 };
    expect(signedText(fields)).toBe("p&1024");
    expect(signedText({ ...fields, blockNo: 0n })).toBe("p&0&1024");
    expect(signedText({ ...fields, blockNo: 2n ** 64n - 1n })).toBe("p&18446744073709551615&1024");
  });
});

describe("recoverAddress", () => {
  it("finds the signer of the contract's vector", () => {
    const text = signedText({ proofId: "00000000-0000-4000-8000-000000000001", segSize: 131_072 });
    expect(text).toBe(TEXT);
    expect(recoverAddress(text, SIGNATURE)).toBe(SIGNER);
    expect(recoverAddress(text, `0x${SIGNATURE}`)).toBe(SIGNER);
    expect(recoverAddress(text, `${SIGNATURE.slice(0, 128)}00`)).toBe(SIGNER);
  });

  it("finds another for another text", () => {
    expect(recoverAddress(`${TEXT}0`, SIGNATURE)).not.toBe(SIGNER);
  });

  it.each([
    ["nothing", ""],
    ["too short", SIGNATURE.slice(2)],
    ["too long", `${SIGNATURE}00`],
    ["not hex", `zz${SIGNATURE.slice(2)}`],
    ["an unknown recovery id", `${SIGNATURE.slice(0, 128)}1d`],
    ["r of zero", `${"0".repeat(64)}${SIGNATURE.slice(64)}`],
    ["s above the order", `${SIGNATURE.slice(0, 64)}${"f".repeat(64)}1b`],
  ])("takes %s for no signature", (_, signature) => {
    expect(recoverAddress(TEXT, signature)).toBeNull();
  });
});

describe("checksumAddress", () => {
  it("spells as EIP-55's own examples", () => {
    for (const address of [
      "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
      "fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
      "D1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ]) {
      expect(checksumAddress(address.toLowerCase())).toBe(address);
    }
  });
});
