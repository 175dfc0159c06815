import { readFile } from "node:fs/promises";
import type { InputSource } from "../actions/inputSource.ts";
import type { StepOptions } from "../actions/run.ts";
import { optionInvalid } from "../context/checkOptions.ts";
import { isGevulotError } from "../errors.ts";
import { parseHash } from "../protocol/hash.ts";
import { jsonArray, jsonNullable, jsonObject, jsonVariants } from "../protocol/json/combinators.ts";
import { jsonString } from "../protocol/json/leaves.ts";

interface LocalInput {
  readonly localPath: string;
  readonly vmPath: string;
  readonly fileUrl: string | null;
}
interface OutputInput {
  readonly sourceProgram: string;
  readonly fileName: string;
}
type TaskInput = ({ readonly kind: "input" } & LocalInput) | ({ readonly kind: "output" } & OutputInput);
interface TaskArgument {
  readonly name: string;
  readonly value: string;
}
interface Task {
  readonly program: string;
  readonly args: readonly TaskArgument[] | null;
  readonly inputs: readonly TaskInput[] | null;
}

/** Protocol section 10. */
const tasks = jsonArray(
  jsonObject<Task>({
    program: ["program", jsonString],
    args: [
      "cmd_args",
      jsonNullable(
        jsonArray(jsonObject<TaskArgument>({ name: ["name", jsonString], value: ["value", jsonString] })),
      ),
    ],
    inputs: [
      "inputs",
      jsonNullable(
        jsonArray(
          jsonVariants<TaskInput>({
            input: [
              "Input",
              jsonObject<LocalInput>({
                localPath: ["local_path", jsonString],
                vmPath: ["vm_path", jsonString],
                fileUrl: ["file_url", jsonNullable(jsonString)],
              }),
            ],
            output: [
              "Output",
              jsonObject<OutputInput>({
                sourceProgram: ["source_program", jsonString],
                fileName: ["file_name", jsonString],
              }),
            ],
          }),
        ),
      ),
    ],
  }),
);

export const tasksOption = {
  tasks: {
    alias: "t",
    type: "string",
    demandOption: true,
    describe:
      'The steps as JSON, or @FILE: [{"program": HASH, "cmd_args": [{"name", "value"}], "inputs": [{"Input": {"local_path", "vm_path"}} | {"Output": {"source_program", "file_name"}}]}]',
  },
} as const;

/** Reads `--tasks`. Throws `OPTION_INVALID`. */
export async function readTasks(text: string): Promise<StepOptions[]> {
  const json = text.startsWith("@") ? await readTasksFile(text.slice(1)) : text;
  try {
    return tasks.fromJson(JSON.parse(json), "").map(toStep);
  } catch (cause) {
    const isOurs = isGevulotError(cause) || cause instanceof SyntaxError;
    if (!isOurs) throw cause;
    const problem = cause.message.replace(/\.?$/, ".");
    throw optionInvalid("--tasks", `${problem} See gevulot exec --help for its form.`, cause);
  }
}

async function readTasksFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw optionInvalid(
      "--tasks",
      `can't read ${path} (${code}). Check the path and its permissions.`,
      cause,
    );
  }
}

function toStep({ program, args, inputs }: Task): StepOptions {
  return {
    program: parseHash(program),
    // Names and values in order; an empty one is none, as for flags without a value.
    args: (args ?? []).flatMap(({ name, value }) => [name, value]).filter((word) => word !== ""),
    inputs: (inputs ?? []).map(toInput),
  };
}

function toInput(input: TaskInput): InputSource {
  if (input.kind === "output") return { output: input.fileName, from: parseHash(input.sourceProgram) };
  const { localPath, vmPath, fileUrl } = input;
  // Beside a URL the path is the file's checksum.
  return fileUrl === null ? { file: localPath, vmPath } : { url: fileUrl, checksum: localPath, vmPath };
}
