import { createTurns } from "../files/turns.ts";
import type { FileView, InputView, ResultView, StepView } from "./api.ts";
import { askFirst } from "./askNodes.ts";
import type { NodeLink } from "./nodeLink.ts";
import { type Programs, toWire } from "./programNames.ts";

/** Signed transactions as the page shows them. They don't change, so they are asked for once. */
export interface Transactions {
  run(hash: string): Promise<{ readonly author: string; readonly steps: readonly StepView[] }>;
  /** A Proof or Verification. */
  result(hash: string): Promise<ResultView>;
  /** The bytes of a Proof or Verification. */
  resultBytes(hash: string): Promise<Buffer>;
}

interface WireTransaction {
  readonly author: string;
  readonly payload: {
    readonly Run?: { readonly workflow: { readonly steps: readonly WireStep[] } };
    readonly Proof?: WireResult & { readonly prover: string; readonly proof: string };
    readonly Verification?: WireResult & { readonly verifier: string; readonly verification: string };
  };
}

interface WireResult {
  readonly parent: string;
  readonly files: readonly { readonly checksum: string; readonly vm_path: string }[];
}

interface WireStep {
  readonly program: readonly number[];
  readonly args: readonly string[];
  readonly inputs: readonly {
    readonly Input?: { readonly file_name: string; readonly checksum: string };
    readonly Output?: { readonly source_program: readonly number[]; readonly file_name: string };
  }[];
}

const MAX_KEPT = 2_000;
/** Each may have megabytes, and a Run hundreds of results. */
const MAX_ASKED_AT_ONCE = 8;
const PREVIEW_BYTES = 96;

export function createTransactions(links: () => readonly NodeLink[], programs: Programs): Transactions {
  const kept = new Map<string, unknown>();
  const keep = async <T>(hash: string, read: () => Promise<T>): Promise<T> => {
    if (kept.has(hash)) return kept.get(hash) as T;
    const value = await read();
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value as string);
    kept.set(hash, value);
    return value;
  };
  const turns = createTurns({ maxAtOnce: MAX_ASKED_AT_ONCE, maxAtOnceOfKey: MAX_ASKED_AT_ONCE });
  const get = (hash: string) =>
    turns.take("", undefined, () =>
      askFirst(
        links(),
        (link) => link.call<WireTransaction>("getTransaction", toWire(hash)),
        `The transaction ${hash}`,
      ),
    );
  return {
    run: (hash) =>
      keep(hash, async () => {
        const { author, payload } = await get(hash);
        const steps = payload.Run?.workflow.steps ?? [];
        return { author, steps: await Promise.all(steps.map((step) => toStep(hash, step, programs))) };
      }),
    result: (hash) => keep(hash, async () => toResult(hash, await get(hash), programs)),
    resultBytes: async (hash) => bytesOf((await get(hash)).payload),
  };
}

function bytesOf({ Proof, Verification }: WireTransaction["payload"]): Buffer {
  return Buffer.from(Proof?.proof ?? Verification?.verification ?? "", "base64");
}

async function toResult(hash: string, tx: WireTransaction, programs: Programs): Promise<ResultView> {
  const { Proof, Verification } = tx.payload;
  const wire = Proof ?? Verification;
  const bytes = bytesOf(tx.payload);
  const [program] = await programs.refs([Proof?.prover ?? Verification?.verifier ?? ""]);
  return {
    hash,
    kind: Proof ? "proof" : "verification",
    parent: wire?.parent ?? "",
    program: program as ResultView["program"],
    author: tx.author,
    bytes: bytes.length,
    preview: previewOf(bytes),
    href: `/files/results/${hash}`,
    files: (wire?.files ?? []).map(({ checksum, vm_path: vmPath }): FileView => {
      const name = encodeURIComponent(vmPath.split("/").at(-1) as string);
      return { vmPath, checksum, href: `/files/tx/${hash}/${checksum}/${name}` };
    }),
  };
}

function previewOf(bytes: Buffer): string {
  const first = bytes.subarray(0, PREVIEW_BYTES);
  try {
    // As a stream: a character that is cut off at the end is none that is wrong.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(first, { stream: true });
    if (!/[^\P{C}\s]/u.test(text)) return text;
  } catch {
    // No text.
  }
  return first.toString("hex");
}

async function toStep(run: string, step: WireStep, programs: Programs): Promise<StepView> {
  const hex = (numbers: readonly number[]) => Buffer.from(numbers).toString("hex");
  const [program] = await programs.refs([hex(step.program)]);
  const inputs = step.inputs.map(async ({ Input, Output }): Promise<InputView> => {
    if (Input) {
      const path = Input.file_name.replace(/^\/+/, "").split("/").map(encodeURIComponent).join("/");
      const href = `/files/tx/${run}/${path}`;
      return { vmPath: Input.file_name, checksum: Input.checksum, href, source: null };
    }
    const [source] = await programs.refs([hex(Output?.source_program ?? [])]);
    return { vmPath: Output?.file_name ?? "", checksum: null, href: null, source: source ?? null };
  });
  return { program: program as StepView["program"], args: step.args, inputs: await Promise.all(inputs) };
}
