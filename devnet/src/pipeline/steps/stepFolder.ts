import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../../removeTree.ts";

/**
 * A step's working folder. The command finds its inputs in `in/` and leaves its outputs in `out/`:
 *
 * | step | in/ | out/ |
 * |---|---|---|
 * | split | `elf`, `public_input`, `private_input`, `receipt_inputs`, `block/…` | `segments/0`, `segments/1`, … each renamed into place; `total_steps`; optional `output_stream`, `public_values`, `vk`, `deferred/0` … |
 * | prove | `elf`, `segment`, `receipts/0` … | `receipt` |
 * | agg | `inputs/0`, `inputs/1`; `vk` | `receipt` |
 * | snark | `receipt` | `proof` |
 * | single | as split, but for `block/…` | `proof`, `total_steps` |
 * | verify | `proof`; with a finished one `public_input`, with others `inputs/0` …, `segment` | – (exit code 0: valid) |
 * | each of these | `keys/0`, `keys/1`, … | – |
 *
 * In the command's arguments `{in}` and `{out}` stand for the two folders; the environment has the step's other facts as
 * `GEVULOT_…`. A verify step gets the finished proof, with `GEVULOT_KIND` snark, single or agg; where a step before it failed
 * it gets each output of the run, prove's too, so that the node whose output is wrong can be named.
 */
export interface StepFolder extends AsyncDisposable {
  readonly root: string;
  readonly input: string;
  readonly output: string;
}

export async function createStepFolder(parent: string = tmpdir()): Promise<StepFolder> {
  await mkdir(parent, { recursive: true });
  const root = await mkdtemp(join(parent, "gevulot-step-"));
  const folder = { root, input: join(root, "in"), output: join(root, "out") };
  await Promise.all([mkdir(folder.input), mkdir(folder.output)]);
  return { ...folder, [Symbol.asyncDispose]: () => removeTree(root) };
}

/** A command, or a program's arguments, with `{in}` and `{out}` filled in. */
export function fillFolders(
  command: readonly string[],
  folder: Pick<StepFolder, "input" | "output">,
): string[] {
  return command.map((part) => part.replaceAll("{in}", folder.input).replaceAll("{out}", folder.output));
}
