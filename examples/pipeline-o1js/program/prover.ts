/**
 * The steps of the pipeline, each a process of its own:
 *
 *     node --import tsx prover.ts split|prove|agg|wrap IN OUT
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Field, Poseidon } from "o1js";
import { ChainProof, chain, finished, MAX_HASHES, Part } from "./chain.ts";

interface Work {
  readonly start: number;
  readonly length: number;
  readonly segments: number;
}

const [step, input, output] = process.argv.slice(2);
if (step === undefined || input === undefined || output === undefined) {
  fail("Give a step (split, prove, agg or wrap), the folder of its inputs and that of its outputs.");
}
const read = (name: string): string => readFileSync(join(input, name), "utf8");
const write = (name: string, content: string): void => writeFileSync(join(output, name), content);
const readProof = async (name: string) => ChainProof.fromJSON(JSON.parse(read(name)));
const writeProof = (name: string, proof: { toJSON(): unknown }): void =>
  write(name, JSON.stringify(proof.toJSON()));

const steps: Readonly<Record<string, () => Promise<void>>> = {
  async split() {
    const { start, length, segments } = readWork();
    mkdirSync(join(output, "segments"), { recursive: true });
    let first = Field(start);
    for (let index = 0; index < segments; index += 1) {
      const size = Math.floor(((index + 1) * length) / segments) - Math.floor((index * length) / segments);
      write("segments/.next", JSON.stringify({ first: first.toString(), length: size }));
      // A segment is whole once it has its name.
      renameSync(join(output, "segments/.next"), join(output, "segments", String(index)));
      for (let hash = 0; hash < size; hash += 1) first = Poseidon.hash([first]);
    }
    write("output_stream", first.toString());
    write("total_steps", String(length));
  },
  async prove() {
    const { first, length } = JSON.parse(read("segment")) as { first: string; length: number };
    await chain.compile();
    writeProof("receipt", (await chain.segment(Field(first), Field(length))).proof);
  },
  async agg() {
    await chain.compile();
    writeProof(
      "receipt",
      (await chain.merge(await readProof("inputs/0"), await readProof("inputs/1"))).proof,
    );
  },
  async wrap() {
    await chain.compile();
    await finished.compile();
    const proof = await readProof("receipt");
    writeProof("proof", (await finished.finish(new Part(proof.publicOutput), proof)).proof);
  },
};
const run = steps[step];
if (run === undefined) fail(`There is no step ${step}: it is split, prove, agg or wrap.`);
await run();
// o1js keeps its threads.
process.exit(0);

function readWork(): Work {
  const work = JSON.parse(read("public_input")) as Work;
  const { start, length, segments } = work;
  if (![start, length, segments].every((number) => Number.isSafeInteger(number) && number >= 0))
    fail('The public input must be like {"start": 42, "length": 500, "segments": 4}.');
  if (segments < 1 || segments > length || Math.ceil(length / segments) > MAX_HASHES)
    fail(`A segment has 1 to ${MAX_HASHES} hashes: ${length} of them don't make ${segments} segments.`);
  return work;
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
