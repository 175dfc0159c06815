import { checksumFile, safeText } from "gevulot-sdk/node";
import type { Argv, CommandModule } from "yargs";
import { type NanosInfo, nodeMountProblem, readNanosInfo } from "../image/nanos/nanosInfo.ts";
import { isNanos } from "../image/nanos/openNanos.ts";
import { readImage } from "../image/readImage.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "./envelope.ts";
import { EXIT_FAILURE, reportErrors } from "./reportError.ts";

interface Arguments {
  readonly file: string;
  readonly json: boolean;
}

export const imageInspectCommand: CommandModule<object, Arguments> = {
  command: "inspect <file>",
  describe: "Say what is in an image",
  builder: (yargs: Argv) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "An image" })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" }),
  handler: async ({ file, json }) => {
    if (!json) return reportErrors(() => print(file));
    try {
      printEnvelope(okEnvelope("image inspect", await inspect(file)));
    } catch (error) {
      printEnvelope(errorEnvelope("image inspect", error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

async function inspect(file: string) {
  const info = (await isNanos(file)) ? await readNanosInfo(file) : await readImage(file);
  return { path: file, checksum: await checksumFile(file), ...info };
}

async function print(file: string): Promise<void> {
  const inspected = await inspect(file);
  if ("kind" in inspected) {
    process.stdout.write(`${nanosLines(inspected).map(safeText).join("\n")}\n`);
    return;
  }
  const { checksum, program, versions, ...info } = inspected;
  const part = (name: string, { offset, length }: { offset: number; length: number }) =>
    `${name.padEnd(10)} ${length} bytes at ${offset}`;
  const lines = [
    `checksum   ${checksum}  (BLAKE3)`,
    `size       ${info.sizeBytes} bytes`,
    `program    ${program.path} (${program.kind})`,
    `args       ${JSON.stringify(program.args)}`,
    `env        ${JSON.stringify(program.env)}`,
    `workspace  ${program.workspace}, root ${program.readonlyRootfs ? "read-only" : "writable"}`,
    `runtime    Linux ${versions.kernel}${versions.node ? `, Node.js ${versions.node}` : ""}`,
    ...(info.deadlineSeconds === undefined ? [] : [`deadline   ${info.deadlineSeconds} s a task`]),
    part("kernel", info.kernel),
    part("initrd", info.initrd),
    part("root", info.root),
  ];
  process.stdout.write(`${lines.map(safeText).join("\n")}\n`);
}

function nanosLines(info: NanosInfo & { readonly checksum: string }): string[] {
  const problem = info.program === null ? null : nodeMountProblem(info);
  return [
    `checksum   ${info.checksum}  (BLAKE3)`,
    `size       ${info.sizeBytes} bytes`,
    `format     Nanos, TFS version ${info.encoding}, UUID ${info.uuid}`,
    ...(info.label === "" ? [] : [`label      ${JSON.stringify(info.label)}`]),
    `program    ${info.program === null ? "none: a volume" : JSON.stringify(info.program)}`,
    `args       ${JSON.stringify(info.args)}`,
    `env        ${JSON.stringify(info.env)}`,
    `mounts     ${JSON.stringify(info.mounts)}`,
    `flags      ${JSON.stringify(info.flags)}`,
    ...(problem === null ? [] : [`warning    no node can run it: ${problem}`]),
  ];
}
