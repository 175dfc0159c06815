import { bytesToHex, type Codec, decode, encode, hexToBytes, PUBLIC_KEY_BYTES } from "gevulot-sdk/protocol";

/** Diagnostics kinds in the order of their index. */
const DIAGNOSTICS_KINDS = ["version", "resources", "metrics"] as const;
export type DiagnosticsKind = (typeof DIAGNOSTICS_KINDS)[number];

export type Diagnostics =
  | {
      readonly kind: "version";
      readonly major: number;
      readonly minor: number;
      readonly patch: number;
      readonly build: string;
    }
  | { readonly kind: "resources"; readonly cpus: bigint; readonly mem: bigint; readonly gpus: bigint }
  /** zstd of Prometheus text. */
  | { readonly kind: "metrics"; readonly bytes: Uint8Array };

/** A message of the contract (protocol section 7, point 4). */
export type Message =
  /** bincode of the transaction, not looked at yet. */
  | { readonly type: "transaction"; readonly bytes: Uint8Array }
  | { readonly type: "request"; readonly kind: DiagnosticsKind }
  | { readonly type: "response"; readonly publicKey: string; readonly diagnostics: Diagnostics };

const TYPES = ["transaction", "request", "response"] as const;
const FIRST_VERSION: Diagnostics = { kind: "version", major: 0, minor: 0, patch: 0, build: "" };
/** u64 BE 1, before a message of the second form. */
const SECOND_FORM = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);

/** A message of so many bytes fits into one frame (u16), with the tag of its encryption. */
export const MAX_MESSAGE_BYTES = 65_519;
/** What a transaction may have at most to fit. */
export const MAX_TRANSACTION_BYTES = MAX_MESSAGE_BYTES - 8;

/** `kinds`: how many kinds of diagnostics the form knows. */
function messageCodec(kinds: number): Codec<Message> {
  return {
    minBytes: 8,
    write: (message, to) => {
      to.u32(0);
      to.u32(TYPES.indexOf(message.type));
      if (message.type === "transaction") to.bytes(message.bytes);
      else if (message.type === "request") to.u32(kinds === 1 ? 0 : DIAGNOSTICS_KINDS.indexOf(message.kind));
      else {
        to.u64(BigInt(PUBLIC_KEY_BYTES));
        to.bytes(hexToBytes(message.publicKey));
        const { diagnostics } = message;
        const isKnown = DIAGNOSTICS_KINDS.indexOf(diagnostics.kind) < kinds;
        diagnosticsCodec.write(isKnown ? diagnostics : FIRST_VERSION, to);
      }
    },
    read: (from) => {
      const version = from.u32();
      if (version !== 0) throw from.error(`a message is of kind 0, not ${version}`, from.offset - 4);
      const index = from.u32();
      const type = TYPES[index];
      if (type === "transaction") return { type, bytes: from.take(from.remaining) };
      if (type === "request") return { type, kind: readKind(from, kinds) };
      if (type === undefined) throw from.error(`no message has the index ${index}`, from.offset - 4);
      const length = from.count(1);
      if (length !== PUBLIC_KEY_BYTES) throw from.error(`a public key of ${length} bytes`);
      const publicKey = bytesToHex(from.take(length));
      return { type, publicKey, diagnostics: readDiagnostics(from, kinds) };
    },
  };
}

type Reader = Parameters<Codec<Message>["read"]>[0];

function readKind(from: Reader, kinds: number): DiagnosticsKind {
  const index = from.u32();
  if (index >= kinds) throw from.error(`no diagnostics have the index ${index}`, from.offset - 4);
  return DIAGNOSTICS_KINDS[index]!;
}

function readDiagnostics(from: Reader, kinds: number): Diagnostics {
  const kind = readKind(from, kinds);
  if (kind === "resources") return { kind, cpus: from.u64(), mem: from.u64(), gpus: from.u64() };
  if (kind === "metrics") return { kind, bytes: from.take(from.count(1)).slice() };
  const [major, minor, patch] = [from.u16(), from.u16(), from.u16()];
  const text = from.take(from.count(1));
  return { kind, major, minor, patch, build: new TextDecoder("utf-8").decode(text) };
}

const diagnosticsCodec: Pick<Codec<Diagnostics>, "write"> = {
  write: (value, to) => {
    to.u32(DIAGNOSTICS_KINDS.indexOf(value.kind));
    if (value.kind === "resources") for (const each of [value.cpus, value.mem, value.gpus]) to.u64(each);
    else if (value.kind === "metrics") {
      to.u64(BigInt(value.bytes.length));
      to.bytes(value.bytes);
    } else {
      for (const each of [value.major, value.minor, value.patch]) to.u16(each);
      const build = new TextEncoder().encode(value.build);
      to.u64(BigInt(build.length));
      to.bytes(build);
    }
  },
};

const firstForm = messageCodec(1);
const secondForm = messageCodec(DIAGNOSTICS_KINDS.length);

/** The form that every node reads; what it has no words for becomes a question for, or an answer with, the version. */
export const encodeFirstForm = (message: Message): Uint8Array => encode(firstForm, message);

export function encodeSecondForm(message: Message): Uint8Array {
  return Buffer.concat([SECOND_FORM, encode(secondForm, message)]);
}

/** Tries the first form, then the second. Throws `BINCODE_INVALID`. */
export function decodeMessage(received: Uint8Array): Message {
  // Slices of a Buffer are Buffers, and share its memory.
  const bytes = new Uint8Array(received.buffer, received.byteOffset, received.byteLength);
  const isSecond = Buffer.compare(SECOND_FORM, bytes.subarray(0, SECOND_FORM.length)) === 0;
  // No message of the first form begins so: it would have a type of 2^24.
  return isSecond ? decode(secondForm, bytes.subarray(SECOND_FORM.length)) : decode(firstForm, bytes);
}
