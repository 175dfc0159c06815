import { GevulotError, type TaskStatus } from "gevulot-sdk";
import {
  bytesToHex,
  hexToBytes,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  sha3_256,
  type VerifyDeps,
  verifySignature,
} from "gevulot-sdk/protocol";
import { z } from "zod";
import { publicKeyOf, signMessage } from "../nativeKeys.ts";
import { storableText } from "../result/storableText.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    REPORT_INVALID: { problem: string };
  }
}

/** What a node says, signed, about one of its tasks. A later report of the task replaces it. */
export interface TaskReport {
  /** The node's public key. */
  readonly author: string;
  readonly run: string;
  readonly sentAt: Date;
  readonly task: TaskStatus;
}

/** A console's last 4 KiB, once for the failure and once for the attempt, written as JSON. */
export const MAX_REPORT_BYTES = 64 * 1_024;
const MAX_ATTEMPTS = 16;
const MAX_TEXT = 16_384;
const CONTEXT = new TextEncoder().encode("gevulot task report 1\n");

/** What the database's JSON does not take is left out: a strange node's words must not keep the report from being stored. */
const text = z.string().max(MAX_TEXT).transform(storableText);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime();
const count = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);
const bytes = z.int().min(0);
const failure = z.object({
  // A later version may know more of them.
  code: z.string().regex(/^[A-Z_]{1,40}$/),
  message: text,
  step: count,
  exitCode: z.int().nullable(),
  signal: text.nullable(),
  consoleTail: text,
});
const attempt = z.object({
  number: count,
  provider: text,
  accelerator: text,
  // Nodes of before said nothing of it.
  vsock: text.nullable().default(null),
  imageChecksum: text,
  queuedAt: time,
  startedAt: time,
  bootedAt: time.nullable(),
  programStartedAt: time.nullable(),
  endedAt: time.nullable(),
  failure: failure.nullable(),
  consoleTail: text,
  peakMemBytes: bytes.nullable().default(null),
  outputBytes: bytes.nullable().default(null),
});
const schema = z.object({
  run: hash,
  sentAt: time,
  task: z.object({
    id: z.string().regex(/^[0-9a-f]{1,64}$/),
    step: count,
    kind: z.enum(["proof", "verification"]),
    program: hash,
    programName: text,
    proof: hash.nullable(),
    state: z.enum(["queued", "running", "done", "failed"]),
    waitsFor: text.nullable(),
    attempts: z.array(attempt).max(MAX_ATTEMPTS),
    result: hash.nullable(),
    failure: failure.nullable(),
  }),
});

/** Public key (65 bytes), signature (64 bytes, r then s), then the report as JSON. */
export function signReport(report: Omit<TaskReport, "author">, secretKey: Uint8Array): Uint8Array {
  const { run, sentAt, task } = report;
  const attempts = task.attempts.slice(-MAX_ATTEMPTS);
  const last = attempts.length - 1;
  const body = new TextEncoder().encode(
    JSON.stringify({
      run,
      sentAt: sentAt.toISOString(),
      // Only the last console, and no process of ours: nobody else can look at it.
      task: {
        ...task,
        attempts: attempts.map(({ pid: _, ...each }, index) => ({
          ...each,
          failure: each.failure && { ...each.failure, consoleTail: "" },
          consoleTail: index === last ? each.consoleTail : "",
        })),
      },
    }),
  );
  const author = hexToBytes(publicKeyOf(secretKey));
  return Buffer.concat([author, signMessage(messageOf(author, body), secretKey), body]);
}

/** Reads a report and checks its signature. Throws `REPORT_INVALID`. */
export function openReport(bytes: Uint8Array, deps: VerifyDeps = {}): TaskReport {
  if (bytes.length > MAX_REPORT_BYTES) throw invalid(`it has ${bytes.length} bytes`);
  const author = bytes.slice(0, PUBLIC_KEY_BYTES);
  const signature = bytes.slice(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES + SIGNATURE_BYTES);
  const body = bytes.slice(PUBLIC_KEY_BYTES + SIGNATURE_BYTES);
  const verify = deps.verifySignature ?? verifySignature;
  if (!verify(signature, messageOf(author, body), author)) throw invalid("its signature is not its node's");
  const parsed = schema.safeParse(parseBody(body));
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const { run, sentAt, task } = parsed.data;
  const attempts = task.attempts.map((each) => ({ ...each, pid: null }));
  return {
    author: bytesToHex(author),
    run,
    sentAt: new Date(sentAt),
    task: { ...task, node: bytesToHex(author), attempts } as unknown as TaskStatus,
  };
}

function messageOf(author: Uint8Array, body: Uint8Array): Uint8Array {
  return sha3_256(Buffer.concat([CONTEXT, author, body]));
}

function parseBody(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw invalid("it is no JSON");
  }
}

function invalid(problem: string): GevulotError {
  return new GevulotError("REPORT_INVALID", `The task report can't be taken: ${problem}.`, {
    context: { problem },
  });
}
