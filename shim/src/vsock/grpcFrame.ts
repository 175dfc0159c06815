/** A gRPC message on the wire: a flag (1: compressed), its length (u32, big endian), its bytes. */
const FRAME_HEAD_BYTES = 5;

export function encodeFrame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

export type Frame =
  | { readonly kind: "message"; readonly message: Buffer }
  | { readonly kind: "compressed" }
  | { readonly kind: "malformed"; readonly problem: string };

/** The one message of a unary call's body. */
export function decodeFrame(body: Buffer): Frame {
  if (body.length < FRAME_HEAD_BYTES) return malformed("there is no message");
  const [flag] = body;
  if (flag === 1) return { kind: "compressed" };
  if (flag !== 0) return malformed(`a message does not begin with ${flag}`);
  const length = body.readUInt32BE(1);
  const given = body.length - FRAME_HEAD_BYTES;
  if (length !== given) return malformed(`a message of ${length} bytes comes with ${given}`);
  return { kind: "message", message: body.subarray(FRAME_HEAD_BYTES) };
}

function malformed(problem: string): Frame {
  return { kind: "malformed", problem };
}
