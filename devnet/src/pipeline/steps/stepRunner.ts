import type { PipelineConfig, StepConfig } from "../config.ts";
import { runCommand } from "./runCommand.ts";
import { type ProgramRun, runProgram } from "./runProgram.ts";
import { fillFolders, type StepFolder } from "./stepFolder.ts";

/** Runs what is configured for a step, in its folder. Throws `STEP_FAILED` or `STEP_CANCELLED`. */
export type StepRunner = (
  step: StepConfig,
  folder: StepFolder,
  options: Pick<ProgramRun, "facts" | "answerFile" | "resumeFile" | "signal">,
) => Promise<void>;

export function createStepRunner(config: Pick<PipelineConfig, "rpc_url" | "key_file">): StepRunner {
  return (step, folder, options) => {
    if ("command" in step) {
      const { facts: env, signal } = options;
      return runCommand(fillFolders(step.command, folder), { cwd: folder.root, env, signal });
    }
    // The configuration has both where a step is a program.
    const network = { rpcUrl: config.rpc_url!, keyFile: config.key_file! };
    return runProgram(network, { ...options, program: step.program, args: step.args }, folder);
  };
}
