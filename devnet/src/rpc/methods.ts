import { GevulotError } from "gevulot-sdk";
import {
  decodeTransaction,
  hashToWire,
  type ProgramMetadata,
  rpcTransactionToWire,
  toRpcTransaction,
  transactionTreeToWire,
} from "gevulot-sdk/protocol";
import { z } from "zod";
import type { Intake } from "../intake/intake.ts";
import type { Database } from "../store/database.ts";
import { createBatchedLoader } from "../store/loadBatched.ts";
import { readRunStatus } from "../store/readRunStatus.ts";
import { findRun, readManyTransactionBytes, readProgram, readTree } from "../store/readTransactions.ts";
import { readRunTrace } from "../trace/readRunTrace.ts";
import { createListMethods } from "./listMethods.ts";
import { defineMethod, hashParameter, type Method } from "./method.ts";
import { withDiscovery } from "./openRpc.ts";
import { createSendMethods } from "./sendMethods.ts";
import {
  type NodeInfoReply,
  nodeInfo,
  programMetadata,
  rpcTransaction,
  runStatus,
  runTrace,
  transactionTree,
} from "./wireSchemas.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TX_UNKNOWN: { hash: string };
  }
}

export interface MethodDeps {
  readonly database: Database;
  readonly intake: Intake;
  /** `host:port` of this node's file server, for the URLs of output files. */
  readonly rpcHost: string;
  /** This node's. */
  readonly publicKey: string;
  readonly nodeInfo: () => NodeInfoReply;
  /** Whether clients may put files there. */
  readonly takesUploads: boolean;
  /** Has what is timed so far written down. */
  readonly flushTimes?: () => Promise<void>;
}

/** How many calls of getTransaction share a query. */
const MAX_LOOKUP = 64;

/** The methods of protocol section 5, and ours. */
export function createMethods(deps: MethodDeps): Record<string, Method> {
  const { database, intake, rpcHost } = deps;
  const bytesOf = createBatchedLoader((hashes) => readManyTransactionBytes(database, hashes), {
    maxKeys: MAX_LOOKUP,
  });
  return withDiscovery({
    ...createSendMethods(intake),
    getTransaction: defineMethod({
      ...hashParameter,
      summary: "A transaction, in the form for people",
      result: { name: "transaction", schema: rpcTransaction },
      run: async (hash) => {
        const bytes = await bytesOf(hash);
        if (bytes === null) throw unknown(hash, "transaction");
        return rpcTransactionToWire(toRpcTransaction(decodeTransaction(bytes), { rpcHost }));
      },
    }),
    getTransactionTree: defineMethod({
      ...hashParameter,
      summary: "A Run with its Proofs and their Verifications, from the hash of any of them",
      result: { name: "tree", schema: transactionTree },
      run: async (hash) => {
        const run = await findRun(database, hash);
        if (run === null) throw unknown(hash, "Run, Proof or Verification");
        return transactionTreeToWire(await readTree(database, run));
      },
    }),
    getRunStatus: defineMethod({
      ...hashParameter,
      summary: "Where a Run stands, with its tasks and their attempts",
      result: { name: "status", schema: runStatus },
      run: async (hash) => {
        const status = await readRunStatus(database, hash, deps.publicKey);
        if (status === null) throw unknown(hash, "Run");
        return status;
      },
    }),
    getRunTrace: defineMethod({
      ...hashParameter,
      summary: "What this node did for a Run, and when",
      result: { name: "trace", schema: runTrace },
      run: async (hash) => {
        await deps.flushTimes?.();
        const trace = await readRunTrace(database, hash, deps.publicKey);
        if (trace === null) throw unknown(hash, "Run");
        return { ...trace, p2pAddress: deps.nodeInfo().p2pAddress };
      },
    }),
    getProgram: defineMethod({
      ...hashParameter,
      summary: "A deployed program's metadata, as a Deploy has it",
      result: { name: "program", schema: programMetadata },
      run: async (hash) => {
        const program = await readProgram(database, hash);
        if (program === null) throw unknown(hash, "program");
        return programToWire(program);
      },
    }),
    ...createNodeMethods(deps),
    ...createListMethods(database),
  });
}

/** What the node says of itself. */
function createNodeMethods({ rpcHost, takesUploads, nodeInfo: info }: MethodDeps): Record<string, Method> {
  return {
    getNodeInfo: defineMethod<null>({
      summary: "This node's key and address, its peers, and the nodes that it knows to be alive",
      parameter: null,
      result: { name: "nodeInfo", schema: nodeInfo },
      parse: () => null,
      run: async () => info(),
    }),
    getFileServer: defineMethod<null>({
      summary: "Where this node serves its files, and whether clients may put files there",
      parameter: null,
      result: { name: "fileServer", schema: z.object({ url: z.string(), takesUploads: z.boolean() }) },
      parse: () => null,
      run: async () => ({ url: `http://${rpcHost}`, takesUploads }),
    }),
  };
}

function programToWire(program: ProgramMetadata): unknown {
  const { resources } = program;
  return {
    name: program.name,
    hash: hashToWire(program.hash),
    image_file_name: program.imageFileName,
    image_file_url: program.imageFileUrl,
    image_file_checksum: program.imageFileChecksum,
    resource_requirements: resources && {
      mem: resources.memMib,
      cpus: resources.cpus,
      gpus: resources.gpus,
    },
  };
}

function unknown(hash: string, what: string): GevulotError {
  return new GevulotError("TX_UNKNOWN", `No ${what} with the hash ${hash} is stored on this node.`, {
    context: { hash },
  });
}
