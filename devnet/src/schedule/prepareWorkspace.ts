import { constants } from "node:fs";
import { access, copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Transaction, WorkflowStep } from "gevulot-sdk/protocol";
import { type FileLayout, workspaceRelative } from "../files/layout.ts";
import { removeTree } from "../removeTree.ts";
import type { Task } from "../store/tasks.ts";

/** A file that a step needs and that isn't there; becomes the task's failure. */
export class InputMissing extends Error {}

/**
 * Makes the workspace folder of an attempt: copies of the step's input files (a guest may write to them), and
 * `task.json` (protocol section 9).
 * @returns the folder.
 */
export async function prepareWorkspace(
  layout: FileLayout,
  task: Task,
  attemptId: string,
  run: Transaction<"run">,
  proofs: readonly Transaction<"proof">[],
): Promise<string> {
  const workspaceDir = join(layout.attemptDir(attemptId), "workspace");
  await removeTree(layout.attemptDir(attemptId));
  await mkdir(workspaceDir, { recursive: true });
  const step = run.payload.steps[task.step] as WorkflowStep;
  for (const input of step.inputs) {
    const source =
      input.kind === "input"
        ? layout.inputPath(run.hash, input.fileName)
        : outputOf(layout, task, proofs, input.sourceProgram, input.fileName);
    const target = join(workspaceDir, workspaceRelative(input.fileName));
    await mkdir(dirname(target), { recursive: true });
    await access(source).catch(() => {
      throw new InputMissing(
        `The file ${input.fileName} of step ${task.step} is no longer in the node's store.`,
      );
    });
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  }
  const files = step.inputs.map((input) => input.fileName);
  await writeFile(join(workspaceDir, "task.json"), JSON.stringify({ id: task.id, args: step.args, files }));
  return workspaceDir;
}

/** Where the output file of an earlier step is; of several Proofs, the one that this task follows comes first. */
function outputOf(
  layout: FileLayout,
  task: Task,
  proofs: readonly Transaction<"proof">[],
  program: string,
  fileName: string,
): string {
  const ofProgram = proofs.filter((proof) => proof.payload.prover === program);
  const proof = ofProgram.find(({ hash }) => hash === task.proof) ?? ofProgram[0];
  const file = proof?.payload.files.find(({ name }) => name === fileName);
  if (proof && file) return layout.outputPath(proof.hash, file.checksum, file.name);
  const names = proof?.payload.files.map(({ name }) => name).join(", ") || "none";
  throw new InputMissing(
    `Step ${task.step} takes ${fileName} from program ${program}, whose output files are: ${names}.`,
  );
}
