import { expectArray, expectObject, invalidAt, joinPath, ownField } from "../json/jsonCodec.ts";
import { jsonHashNumbers } from "../json/leaves.ts";
import type { Hash } from "../transaction.ts";

/** The answer of `getTransactionTree`: a Run at the root, its Proofs, and their Verifications as leaves. */
export type TransactionTree =
  | { readonly kind: "root" | "node"; readonly hash: Hash; readonly children: readonly TransactionTree[] }
  | { readonly kind: "leaf"; readonly hash: Hash };

/** Run, Proof and Verification are three; a deeper tree is no answer to our question. */
const MAX_TREE_DEPTH = 16;
const KINDS = { Root: "root", Node: "node", Leaf: "leaf" } as const;

/** The wire value, for `stringifyJson`. */
export function transactionTreeToWire(tree: TransactionTree): unknown {
  const hash = jsonHashNumbers.toJson(tree.hash);
  if (tree.kind === "leaf") return { Leaf: { hash } };
  const fields = { children: tree.children.map(transactionTreeToWire), hash };
  return tree.kind === "root" ? { Root: fields } : { Node: fields };
}

/** Reads what `parseJson` gives. Throws `WIRE_VALUE_INVALID`. */
export function parseTransactionTree(value: unknown): TransactionTree {
  return parse(value, "", 1);
}

function parse(json: unknown, path: string, depth: number): TransactionTree {
  if (depth > MAX_TREE_DEPTH) throw invalidAt(path, `a tree deeper than ${MAX_TREE_DEPTH}`);
  const [name = "", ...others] = Object.keys(expectObject(json, path));
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name as keyof typeof KINDS] : undefined;
  if (kind === undefined || others.length > 0) {
    throw invalidAt(path, `an object with one field Root, Node or Leaf is wanted`);
  }
  const at = joinPath(path, name);
  const fields = expectObject((json as Record<string, unknown>)[name], at);
  const hash = jsonHashNumbers.fromJson(ownField(fields, "hash"), `${at}.hash`);
  if (kind === "leaf") return { kind, hash };
  const children = expectArray(ownField(fields, "children"), `${at}.children`);
  return {
    kind,
    hash,
    children: children.map((child, i) => parse(child, `${at}.children[${i}]`, depth + 1)),
  };
}
