import { bytesToHex } from "gevulot-sdk/protocol";
import { Packr } from "msgpackr";
import { isPlainMsgpack } from "./checkMsgpack.ts";

/** What the inventory holds: transactions by their hash, reports by the SHA-256 of their bytes. */
export const ITEM_KINDS = ["transaction", "report"] as const;
export type ItemKind = (typeof ITEM_KINDS)[number];

/** How many ids a message has at most. */
export const MAX_IDS = 1_024;
export const MAX_REPORT_BYTES = 64 * 1_024;
export const MAX_CURSOR_CHARS = 256;
const MAX_SIGNED_BYTES = 512;
const MAX_ADDRESS_CHARS = 64;
const ID_BYTES = 32;

/** The messages between nodes that both announced version 2 or above: docs/p2p-v2.md. */
export type PeerMessage =
  /** The first of each side. */
  | {
      readonly type: "hello";
      readonly publicKey: Uint8Array | null;
      readonly signature: Uint8Array | null;
      readonly isBeacon: boolean;
    }
  | { readonly type: "item"; readonly kind: ItemKind; readonly bytes: Uint8Array }
  /** The sender has these. */
  | { readonly type: "have"; readonly kind: ItemKind; readonly ids: readonly string[] }
  | { readonly type: "want"; readonly kind: ItemKind; readonly ids: readonly string[] }
  /** The sender was asked for these, and has them no more. */
  | { readonly type: "gone"; readonly kind: ItemKind; readonly ids: readonly string[] }
  /** What came after the cursor? */
  | { readonly type: "since"; readonly kind: ItemKind; readonly cursor: string | null }
  | {
      readonly type: "page";
      readonly kind: ItemKind;
      readonly cursor: string | null;
      readonly ids: readonly string[];
    }
  /** Something was not told for want of room: ask with `since`. */
  | { readonly type: "behind" }
  | { readonly type: "announcement"; readonly bytes: Uint8Array }
  | { readonly type: "ping" }
  /** A diagnostics message of the contract, in its second form. */
  | { readonly type: "contract"; readonly bytes: Uint8Array }
  /** Another peer listens here: `host:port` by numbers. */
  | { readonly type: "peer"; readonly address: string };

const TYPES = [
  "hello",
  "item",
  "have",
  "want",
  "gone",
  "since",
  "page",
  "behind",
  "announcement",
  "ping",
  "contract",
  "peer",
] as const satisfies readonly PeerMessage["type"][];

const packr = new Packr({ useRecords: false, variableMapSize: true });

export function encodePeerMessage(message: PeerMessage): Uint8Array {
  return packr.pack([TYPES.indexOf(message.type), ...fieldsOf(message)]);
}

function fieldsOf(message: PeerMessage): unknown[] {
  switch (message.type) {
    case "hello":
      return [message.publicKey, message.signature, message.isBeacon];
    case "item":
      return [ITEM_KINDS.indexOf(message.kind), message.bytes];
    case "have":
    case "want":
    case "gone":
      return [ITEM_KINDS.indexOf(message.kind), joinIds(message.ids)];
    case "since":
      return [ITEM_KINDS.indexOf(message.kind), message.cursor];
    case "page":
      return [ITEM_KINDS.indexOf(message.kind), message.cursor, joinIds(message.ids)];
    case "announcement":
    case "contract":
      return [message.bytes];
    case "peer":
      return [message.address];
    default:
      return [];
  }
}

/** Null: a message of a type that this version does not know, to be passed over. */
export type Decoded = PeerMessage | null | { readonly type: "fault"; readonly reason: string };

/** Never throws. Fields behind those that are known are passed over: a later version may have more. */
export function decodePeerMessage(bytes: Uint8Array): Decoded {
  if (!isPlainMsgpack(bytes)) return fault("a message that is not of plain MessagePack");
  // The decoder's byte strings would be views of a buffer that is used again.
  const value: unknown = packr.unpack(bytes);
  if (!Array.isArray(value) || !Number.isSafeInteger(value[0])) return fault("a message without its type");
  const type = TYPES[value[0] as number];
  if (type === undefined) return null;
  const fields = value.slice(1) as unknown[];
  return readFields(type, fields) ?? fault(`a message "${type}" with wrong fields`);
}

function readFields(type: PeerMessage["type"], fields: readonly unknown[]): PeerMessage | null {
  const [first, second, third] = fields;
  switch (type) {
    case "hello": {
      const isKeyless = first === null && second === null;
      const isKeyed = isBytes(first, 65, 65) && isBytes(second, 64, 64);
      if (!(isKeyless || isKeyed) || typeof third !== "boolean") return null;
      return {
        type,
        publicKey: first as Uint8Array | null,
        signature: second as Uint8Array | null,
        isBeacon: third,
      };
    }
    case "announcement":
      return isBytes(first, 1, MAX_SIGNED_BYTES) ? { type, bytes: first } : null;
    case "contract":
      return isBytes(first, 1, 65_519) ? { type, bytes: first } : null;
    case "peer":
      return typeof first === "string" && first.length <= MAX_ADDRESS_CHARS ? { type, address: first } : null;
    case "ping":
    case "behind":
      return { type };
    default: {
      const kind = typeof first === "number" ? ITEM_KINDS[first] : undefined;
      return kind === undefined ? null : readItemFields(type, kind, second, third);
    }
  }
}

type ItemType = "item" | "have" | "want" | "gone" | "since" | "page";

function readItemFields(type: ItemType, kind: ItemKind, second: unknown, third: unknown): PeerMessage | null {
  if (type === "item") {
    const isFit = isBytes(second, 1, kind === "report" ? MAX_REPORT_BYTES : Number.POSITIVE_INFINITY);
    return isFit ? { type, kind, bytes: second } : null;
  }
  if (type === "since") return isCursor(second) ? { type, kind, cursor: second } : null;
  const ids = splitIds(type === "page" ? third : second);
  if (ids === null) return null;
  if (type === "page") return isCursor(second) ? { type, kind, cursor: second, ids } : null;
  return { type, kind, ids };
}

function joinIds(ids: readonly string[]): Uint8Array {
  return Buffer.from(ids.join(""), "hex");
}

function splitIds(value: unknown): string[] | null {
  if (!isBytes(value, 0, MAX_IDS * ID_BYTES) || value.length % ID_BYTES !== 0) return null;
  const count = value.length / ID_BYTES;
  return Array.from({ length: count }, (_, at) =>
    bytesToHex(value.subarray(at * ID_BYTES, (at + 1) * ID_BYTES)),
  );
}

function isBytes(value: unknown, min: number, max: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length >= min && value.length <= max;
}

function isCursor(value: unknown): value is string | null {
  return value === null || (typeof value === "string" && value.length <= MAX_CURSOR_CHARS);
}

function fault(reason: string): Decoded {
  return { type: "fault", reason };
}
