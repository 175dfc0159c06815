import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type ProofRequest, STEP } from "./proofRequest.ts";
import { type AdmissionDeps, admit } from "./refusal.ts";

/** The contract's vector. */
const SIGNER = "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const GOOD: ProofRequest = {
  proofId: "00000000-0000-4000-8000-000000000001",
  segSize: 131_072,
  signature:
    "8b05f988ff8184721d82eb15a36e283b9c340335bae359cd34d453dd50a1062a" +
    "74833841c6ba8cc233cbe099aa5c8c346b936452ad04f1249af4c0f168d4c3ae1b",
  elfData: Uint8Array.of(0x7f),
  blockData: [],
  publicInput: new Uint8Array(),
  privateInput: new Uint8Array(),
  compositeProof: false,
  receiptInputs: [],
  receipts: [],
  singleNode: false,
  maxProverNum: 0,
};
const DEPS: AdmissionDeps = {
  version: "zkm",
  isUser: async (address) => address === SIGNER,
  hasElf: async (elfId) => elfId === "ab",
};
const reasonOf = async (change: Partial<ProofRequest>, deps: Partial<AdmissionDeps> = {}) => {
  const admission = await admit({ ...GOOD, ...change }, { ...DEPS, ...deps });
  return admission.kind === "refused" ? admission.reason : admission.kind;
};
const NO_ELF = { elfData: new Uint8Array() };

/** In the order of the contract; each wrong in everything that follows as well would be refused for the first. */
const REFUSALS: readonly (readonly [string, Partial<ProofRequest>])[] = [
  ["invalid seg_size support [1024-4194304]", { segSize: 1_023 }],
  ["invalid signature", { signature: "" }],
  ["permission denied", { blockNo: 0n }],
  ["invalid FromStep, only Support Init and Agg", { fromStep: STEP.Prove }],
  ["invalid TargetStep, only Support Split, Agg and Snark", { targetStep: STEP.Prove }],
  ["elf_data or elf_id should not be empty", NO_ELF],
  ["elf_id not found", { ...NO_ELF, elfId: "cd" }],
  ["receipt_inputs should not empty", { fromStep: STEP.Agg }],
];

describe("admit", () => {
  it("takes what is right", async () => {
    expect(await admit(GOOD, DEPS)).toEqual({ kind: "admitted", address: SIGNER });
    expect(await reasonOf({ ...NO_ELF, elfId: "ab" })).toBe("admitted");
    const wrap = { fromStep: STEP.Agg, receiptInputs: [Uint8Array.of(1)] };
    expect(await reasonOf(wrap)).toBe("admitted");
    expect(await reasonOf({ ...wrap, ...NO_ELF })).toBe("admitted");
    expect(await reasonOf({ ...wrap, ...NO_ELF, elfId: "cd" })).toBe("admitted");
    expect(await reasonOf({ targetStep: STEP.Split, fromStep: STEP.Init })).toBe("admitted");
  });

  it.each(REFUSALS)("refuses: %s", async (reason, change) => {
    expect(await reasonOf(change)).toBe(reason);
  });

  it("tells the first reason where several hold", async () => {
    // The signer of a wrong segment size is a stranger too, which is why the size is told.
    const wrong = [...REFUSALS].reverse().filter(([reason]) => reason !== "elf_id not found");
    let all: Partial<ProofRequest> = {};
    for (const [reason, change] of wrong) {
      if (reason === "receipt_inputs should not empty" || reason.startsWith("invalid FromStep")) {
        all = { ...change, ...all, fromStep: change.fromStep };
      } else if (reason.startsWith("elf_data")) {
        // Only who begins with a receipt can lack it, and needs no ELF.
        all = { ...all, ...change, fromStep: STEP.Init };
      } else {
        all = { ...all, ...change };
      }
      expect(await reasonOf(all)).toBe(reason);
    }
  });

  it("leaves the segment size alone for a composite proof and for zkm2", async () => {
    expect(await reasonOf({ segSize: 1, compositeProof: true })).toBe("permission denied");
    expect(await reasonOf({ segSize: 1 }, { version: "zkm2" })).toBe("permission denied");
  });

  it("takes no other elf_id for the ELF that comes with it than its SHA-256", async () => {
    const hash = createHash("sha256").update(GOOD.elfData).digest("hex");
    expect(await reasonOf({ elfId: hash })).toBe("admitted");
    expect(await reasonOf({ elfId: "" })).toBe("admitted");
    for (const elfId of ["../../x", "ab", "0".repeat(64)]) {
      expect(await reasonOf({ elfId })).toContain("elf_id is not the SHA-256 of elf_data");
    }
  });

  it("refuses receipts for one node's own aggregation", async () => {
    const change = { fromStep: STEP.Agg, receiptInputs: [Uint8Array.of(1)], singleNode: true };
    expect(await reasonOf(change)).toBe("receipt_inputs should not empty");
  });

  it.each(["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "a\0b", "x".repeat(215), "é".repeat(108)])(
    "refuses %j as a name",
    async (name) => {
      const blockData = [{ fileName: name, fileContent: new Uint8Array() }];
      expect(await reasonOf({ blockData })).toContain("invalid file_name");
      const anyone = { isUser: async () => true };
      expect(await reasonOf({ proofId: name }, anyone)).toContain("invalid proof_id");
    },
  );
});
