/**
 * Checks what the prover made:
 *
 *     node --import tsx verifier.ts keys FILE                 writes the verification keys
 *     node --import tsx verifier.ts step KEYS IN              a step's output, against what it was made of
 *     node --import tsx verifier.ts proof KEYS FILE START LENGTH
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Field, verify } from "o1js";
import { ChainProof, chain, FinishedProof, finished } from "./chain.ts";

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

async function checkStep(keys: Keys, input: string): Promise<void> {
  const read = (name: string): string => readFileSync(join(input, name), "utf8");
  const kind = process.env.GEVULOT_KIND;
  if (kind === "snark") return void (await readFinished(keys, read("proof")));
  const { publicOutput: part } = await readPart(keys, read("proof"));
  if (kind === "prove") {
    const { first, length } = JSON.parse(read("segment")) as { first: string; length: number };
    demand(part.first.toString() === first && part.length.toString() === String(length), "the segment");
    return;
  }
  const names = readdirSync(join(input, "inputs")).sort((left, right) => Number(left) - Number(right));
  const parts = [];
  for (const name of names) parts.push((await readPart(keys, read(`inputs/${name}`))).publicOutput);
  const [left, right] = parts;
  demand(part.first.toString() === left!.first.toString(), "its first input");
  demand(part.last.toString() === right!.last.toString(), "its second input");
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

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not valid: it is not about ${what}`);
}
