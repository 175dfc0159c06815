import fc from "fast-check";
import { expect, test } from "vitest";
import { bytesField, encodeVarint, numberField, ProtobufError, readFields, textField } from "./protobuf.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

test.each([
  [0, "00"],
  [127, "7f"],
  [128, "8001"],
  [300, "ac02"],
  [2 ** 31, "8080808008"],
  [Number.MAX_SAFE_INTEGER, "ffffffffffffff0f"],
])("the number %d is %s", (value, bytes) => {
  expect(encodeVarint(value).toString("hex")).toBe(bytes);
  const [field] = [...readFields(Buffer.concat([hex("08"), encodeVarint(value)]))];
  expect(field).toEqual({ number: 1, wireType: 0, value: BigInt(value) });
});

test("fields by hand", () => {
  // (1 << 3) | 2, length 2, "é"; (16 << 3) | 0, 1; (3 << 3) | 2, no bytes.
  expect(textField(1, "é").toString("hex")).toBe("0a02c3a9");
  expect(numberField(16, 1).toString("hex")).toBe("800101");
  expect(bytesField(3, new Uint8Array()).toString("hex")).toBe("1a00");
});

test("all wire types in use are read, those of unknown fields too", () => {
  const bytes = hex("08 96 01 11 0102030405060708 1a 02 6869 25 01020304");
  expect([...readFields(bytes)]).toEqual([
    { number: 1, wireType: 0, value: 150n },
    { number: 2, wireType: 1, value: hex("0102030405060708") },
    { number: 3, wireType: 2, value: hex("6869") },
    { number: 4, wireType: 5, value: hex("01020304") },
  ]);
});

test.each([
  ["a number that ends early", "08 80", /ends within a number at byte 2/],
  ["a key that ends early", "80", /ends within a number/],
  ["a number of eleven bytes", `08 ${"80".repeat(10)}00`, /too long/],
  ["the field 0", "02 00", /no field 0/],
  ["a key beyond 32 bits", "80 80 80 80 10 00", /no field 536870912/],
  ["a group's begin", "0b", /type 3/],
  ["a group's end", "0c", /type 4/],
  ["the type 6", "0e 00", /type 6/],
  ["the type 7", "0f 00", /type 7/],
  ["bytes longer than the message", "0a 05 00", /field 1 is longer/],
  ["a length of 2^64 - 1", "0a ff ff ff ff ff ff ff ff ff 01", /field 1 is longer/],
  ["eight bytes that are seven", "09 00000000000000", /longer/],
  ["four bytes that are none", "0d", /longer/],
])("%s is refused", (_, text, problem) => {
  expect(() => [...readFields(hex(text))]).toThrow(problem);
  expect(() => [...readFields(hex(text))]).toThrow(ProtobufError);
});

test("whatever comes is read or refused, and what is read stays within the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        let total = 0;
        for (const { value } of readFields(Buffer.from(bytes)))
          total += typeof value === "bigint" ? 1 : value.length;
        expect(total).toBeLessThanOrEqual(bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtobufError);
      }
    }),
  );
});
