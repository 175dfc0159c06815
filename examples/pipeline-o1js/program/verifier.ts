/**
 * Checks what the prover made:
 *
 *     node --import tsx verifier.ts keys FILE                 writes the verification keys
 *     node --import tsx verifier.ts step KEYS IN              a step's output, against what it was made of, and asked for
 *     node --import tsx verifier.ts proof KEYS FILE START LENGTH
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Field, verify } from "o1js";
import { ChainProof, chain, FinishedProof, finished, type Part } from "./chain.ts";

interface Keys {
  readonly chain: { readonly data: string; readonly hash: string };
  readonly finished: { readonly data: string; readonly hash: string };
}

const [command, ...args] = process.argv.slice(2);
try {
  if (command === "keys") await writeKeys(args[0]!);
  else if (command === "step") await checkStep(readKeys(args[0]!), args[1]!);
  else if (command === "proof") await checkProof(readKeys(args[0]!), args[1]!, args[2]!, args[3]!);
  else throw new Error("Give a command: keys, step or proof.");
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
// o1js keeps its threads.
process.exit(0);

async function writeKeys(file: string): Promise<void> {
  const keyOf = async (program: {
    compile(): Promise<{ verificationKey: { data: string; hash: Field } }>;
  }) => {
    const { data, hash } = (await program.compile()).verificationKey;
    return { data, hash: hash.toString() };
  };
  writeFileSync(file, JSON.stringify({ chain: await keyOf(chain), finished: await keyOf(finished) }));
}

function readKeys(file: string): Keys {
  return JSON.parse(readFileSync(file, "utf8")) as Keys;
}

/** Against whatever is there of its segment, of what it was made of, and of what was asked for. */
async function checkStep(keys: Keys, input: string): Promise<void> {
  const read = (name: string): string | null =>
    existsSync(join(input, name)) ? readFileSync(join(input, name), "utf8") : null;
  const proof = read("proof") ?? "";
  const part =
    process.env.GEVULOT_KIND === "snark"
      ? (await readFinished(keys, proof)).publicInput
      : (await readPart(keys, proof)).publicOutput;
  const [segment, left, right, work] = ["segment", "inputs/0", "inputs/1", "public_input"].map(read);
  if (!segment && !left && !work)
    throw new Error("not valid: neither segment nor inputs nor public_input says what it must be about");
  if (segment) {
    const { first, length } = JSON.parse(segment) as { first: string; length: number };
    demand(part, { first, length }, "the segment");
  }
  if (left) {
    const before = (await readPart(keys, left)).publicOutput;
    const after = right ? (await readPart(keys, right)).publicOutput : null;
    const length = after ? before.length.add(after.length) : before.length;
    demand(part, { first: before.first, last: (after ?? before).last, length }, "what it was made of");
  }
  if (work) {
    const { start, length } = JSON.parse(work) as { start: number; length: number };
    demand(part, { first: start, length }, "the chain that was asked for");
  }
}

async function checkProof(keys: Keys, file: string, start: string, length: string): Promise<void> {
  const { publicInput } = await readFinished(keys, readFileSync(file, "utf8"));
  const { first, last } = publicInput;
  if (first.toString() !== start || publicInput.length.toString() !== length)
    throw new Error(`not valid: it is about ${publicInput.length} hashes from ${first}`);
  console.log(`valid: ${length} hashes from ${first} end in ${last}`);
}

async function readPart(keys: Keys, json: string): Promise<ChainProof> {
  return genuine(keys.chain, await ChainProof.fromJSON(JSON.parse(json)));
}

async function readFinished(keys: Keys, json: string): Promise<FinishedProof> {
  return genuine(keys.finished, await FinishedProof.fromJSON(JSON.parse(json)));
}

async function genuine<P extends ChainProof | FinishedProof>(key: Keys["chain"], proof: P): Promise<P> {
  const isValid = await verify(proof, { data: key.data, hash: Field(key.hash) });
  if (!isValid) throw new Error("not valid: the proof does not verify");
  return proof;
}

type Claim = Readonly<Partial<Record<"first" | "last" | "length", Field | string | number>>>;

function demand(part: Part, claim: Claim, what: string): void {
  const holds = Object.entries(claim).every(
    ([name, value]) => String(part[name as keyof Part]) === String(value),
  );
  if (!holds) throw new Error(`not valid: it is not about ${what}`);
}
