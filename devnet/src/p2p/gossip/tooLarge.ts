import { MAX_CHUNKED_BYTES } from "../wire/chunks.ts";
import { MAX_TRANSACTION_BYTES } from "../wire/message.ts";

/** What a message has around an item. */
const ITEM_OVERHEAD_BYTES = 64;

/** Whether a transaction of so many bytes can't be sent to a peer at all. */
export function isTooLargeFor(bytes: number, { isModern }: { readonly isModern: boolean }): boolean {
  return bytes > (isModern ? MAX_CHUNKED_BYTES - ITEM_OVERHEAD_BYTES : MAX_TRANSACTION_BYTES);
}
