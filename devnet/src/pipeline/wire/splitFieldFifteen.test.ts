import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitFieldFifteen } from "./splitFieldFifteen.ts";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

describe("splitFieldFifteen", () => {
  it("leaves single_node, a varint, where it is", () => {
    // proof_id "a", single_node true, max_prover_num 3
    const request = hex("0a0161 7801 800103");
    expect(splitFieldFifteen(request)).toEqual({ bytes: request, elfId: null });
  });

  it("takes out elf_id, a string, between its neighbours", () => {
    // proof_id "a", elf_id "0xab" under 15, seg_size 1024
    const { bytes, elfId } = splitFieldFifteen(hex("0a0161 7a0430786162 288008"));
    expect(elfId).toBe("0xab");
    expect(Buffer.from(bytes).toString("hex")).toBe("0a0161288008");
  });

  it("does not look into other fields", () => {
    // elf_data that holds the bytes of such a string
    const request = hex("1206 7a0430786162");
    expect(splitFieldFifteen(request)).toEqual({ bytes: request, elfId: null });
  });

  it.each([
    ["a cut tag", "80"],
    ["a cut varint", "7880"],
    ["a string longer than the message", "7a0561"],
    ["a group", "7b"],
    ["a varint of eleven bytes", "78ffffffffffffffffffff01"],
  ])("leaves %s to the decoder", (_, text) => {
    expect(splitFieldFifteen(hex(text))).toEqual({ bytes: hex(text), elfId: null });
  });

  it("ends on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(splitFieldFifteen(bytes).bytes.length).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});
