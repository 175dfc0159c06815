import type { Argv, CommandModule } from "yargs";
import { checksumFile } from "../node/checksumFile.ts";
import { stringifyJson } from "../protocol/json/stringifyJson.ts";
import { rpcTransactionToWire } from "../protocol/rpc/rpcTransaction.ts";
import type { TransactionTree } from "../protocol/rpc/transactionTree.ts";
import { type CommonArguments, createClient } from "./commonOptions.ts";
import { runCommand } from "./output.ts";

export type HashArguments = CommonArguments & { readonly hash: string };

/** Gives a command its one positional. `string`: a hash of digits only must not become a number. */
export function withHash(describe: string) {
  return (yargs: Argv): Argv<HashArguments> =>
    yargs.positional("hash", { type: "string", demandOption: true, describe }) as Argv<HashArguments>;
}

export const printTxTreeCommand: CommandModule<object, HashArguments> = {
  command: "print-tx-tree <hash>",
  describe: "Show a run with its proofs and their verifications",
  builder: withHash("Of a run, proof or verification"),
  handler: (args) =>
    runCommand("print-tx-tree", args, async () => {
      const tree = await createClient(args).getTransactionTree(args.hash);
      return { lines: treeLines(tree, ""), data: tree };
    }),
};

const NAMES = { root: "Root", node: "Node", leaf: "Leaf" } as const;

function treeLines(tree: TransactionTree, indent: string): string[] {
  const children = tree.kind === "leaf" ? [] : tree.children;
  const lines = children.flatMap((child) => treeLines(child, `${indent}\t`));
  return [`${indent}${NAMES[tree.kind]}: ${tree.hash}`, ...lines];
}

export const getTxCommand: CommandModule<object, HashArguments> = {
  command: "get-tx <hash>",
  describe: "Show a transaction, as one line of JSON",
  builder: withHash("Of any transaction"),
  handler: (args) =>
    runCommand("get-tx", args, async () => {
      const data = rpcTransactionToWire(await createClient(args).getTransaction(args.hash));
      return { lines: [stringifyJson(data)], data };
    }),
};

type FileArguments = CommonArguments & { readonly file: string };

export const calculateHashCommand: CommandModule<object, FileArguments> = {
  command: "calculate-hash",
  describe: "Show a file's BLAKE3",
  builder: (yargs: Argv) =>
    yargs.option("file", {
      alias: "f",
      type: "string",
      demandOption: true,
      describe: "The file",
    }) as Argv<FileArguments>,
  handler: (args) =>
    runCommand("calculate-hash", args, async () => {
      const hash = await checksumFile(args.file);
      return { lines: [`The hash of the file is: ${hash}`], data: { hash } };
    }),
};
