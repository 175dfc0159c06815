import { readFileSync } from "node:fs";
import { bytesToHex, hexToBytes } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { createHandshake, HANDSHAKE_MESSAGE_BYTES, NOISE_PATTERN, pskOf } from "./handshake.ts";
import { x25519KeyPair } from "./x25519.ts";

interface NoiseVector {
  readonly pattern: string;
  readonly passphrase: string;
  readonly psk: string;
  readonly initiator_static: string;
  readonly initiator_ephemeral: string;
  readonly responder_static: string;
  readonly responder_ephemeral: string;
  readonly handshake_messages: readonly string[];
  readonly handshake_hash: string;
  readonly transport: readonly {
    readonly nonce: number;
    readonly plaintext: string;
    readonly initiator_to_responder: string;
    readonly responder_to_initiator: string;
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../../../../test/vectors/noise.json", import.meta.url), "utf8"),
) as NoiseVector[];

function sides(vector: NoiseVector, passphrase = vector.passphrase) {
  const key = (hex: string) => x25519KeyPair(hexToBytes(hex));
  return [
    createHandshake({
      role: "initiator",
      psk: pskOf(vector.passphrase),
      staticKey: key(vector.initiator_static),
      ephemeralKey: key(vector.initiator_ephemeral),
    }),
    createHandshake({
      role: "responder",
      psk: pskOf(passphrase),
      staticKey: key(vector.responder_static),
      ephemeralKey: key(vector.responder_ephemeral),
    }),
  ] as const;
}

test.each(vectors)("the vector of the passphrase $passphrase, byte for byte", (vector) => {
  expect(vector.pattern).toBe(NOISE_PATTERN);
  expect(bytesToHex(pskOf(vector.passphrase))).toBe(vector.psk);
  const [initiator, responder] = sides(vector);
  for (const [index, expected] of vector.handshake_messages.entries()) {
    const [from, to] = index % 2 === 0 ? [initiator, responder] : [responder, initiator];
    expect([from.turn, to.turn]).toEqual(["write", "read"]);
    const message = from.write();
    expect(bytesToHex(message)).toBe(expected);
    expect(to.read(message)).toBe(true);
  }
  expect([initiator.turn, responder.turn]).toEqual(["done", "done"]);
  const [one, two] = [initiator.finish(), responder.finish()];
  expect(bytesToHex(one.handshakeHash)).toBe(vector.handshake_hash);
  expect(bytesToHex(two.handshakeHash)).toBe(vector.handshake_hash);
  expect(bytesToHex(one.remoteStatic)).toBe(
    bytesToHex(x25519KeyPair(hexToBytes(vector.responder_static)).publicKey),
  );
  for (const { plaintext, ...sealed } of vector.transport) {
    const there = one.send.encrypt(hexToBytes(plaintext));
    const back = two.send.encrypt(hexToBytes(plaintext));
    expect(bytesToHex(there)).toBe(sealed.initiator_to_responder);
    expect(bytesToHex(back)).toBe(sealed.responder_to_initiator);
    expect(bytesToHex(two.receive.decrypt(there)!)).toBe(plaintext);
    expect(bytesToHex(one.receive.decrypt(back)!)).toBe(plaintext);
  }
});

test("another passphrase is noticed by the third message, which is the first that needs it", () => {
  const [initiator, responder] = sides(vectors[0]!, "something else");
  expect(responder.read(initiator.write())).toBe(true);
  expect(initiator.read(responder.write())).toBe(true);
  expect(responder.read(initiator.write())).toBe(false);
});

test("any bit that is turned ends the handshake", () => {
  for (const [step, length] of HANDSHAKE_MESSAGE_BYTES.entries()) {
    for (let byte = 0; byte < length; byte++) {
      const [initiator, responder] = sides(vectors[0]!);
      const parties = [initiator, responder] as const;
      for (let at = 0; at <= step; at++) {
        const message = parties[at % 2]!.write();
        if (at === step) message[byte]! ^= 1 << (byte % 7);
        expect(parties[(at + 1) % 2]!.read(message), `message ${step}, byte ${byte}`).toBe(at < step);
      }
    }
  }
});

test("a point of low order and messages of other lengths are refused", () => {
  const [, responder] = sides(vectors[0]!);
  for (const length of [0, 1, 47, 49, 65_535]) expect(responder.read(new Uint8Array(length))).toBe(false);
  const [initiator] = sides(vectors[0]!);
  initiator.write();
  expect(initiator.read(new Uint8Array(96))).toBe(false);
});

test("a message that is repeated, left out or changed does not decrypt", () => {
  const [initiator, responder] = sides(vectors[0]!);
  responder.read(initiator.write());
  initiator.read(responder.write());
  responder.read(initiator.write());
  const [one, two] = [initiator.finish(), responder.finish()];
  const [first, second] = [one.send.encrypt(Buffer.from("a")), one.send.encrypt(Buffer.from("b"))];
  expect(two.receive.decrypt(second)).toBeNull();
  expect(two.receive.decrypt(first)).toEqual(Buffer.from("a"));
  expect(two.receive.decrypt(first)).toBeNull();
  expect(two.receive.decrypt(second.subarray(0, 15))).toBeNull();
  expect(two.receive.decrypt(second)).toEqual(Buffer.from("b"));
});
