import { checksumFile } from "gevulot-sdk/node";
import type { Argv, CommandModule } from "yargs";
import type { ImageInfo } from "../../image/descriptor.ts";
import type { ExecProgram } from "../../image/execProgram.ts";
import { type NanosInfo, nodeMountProblem, readNanosInfo } from "../../image/nanos/nanosInfo.ts";
import { isNanos } from "../../image/nanos/openNanos.ts";
import { readImage } from "../../image/readImage.ts";
import { resourcesText } from "../../image/runConfig.ts";
import { report } from "../terminal/report.ts";

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
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .example("$0 image inspect prover.img", "checksum, program, arguments, environment, mounts"),
  handler: (args) =>
    report("image inspect", args, async () => {
      const data = await inspect(args.file);
      return { lines: "kind" in data ? nanosLines(data) : linuxLines(data), data };
    }),
};

async function inspect(file: string) {
  const info = (await isNanos(file)) ? await readNanosInfo(file) : await readImage(file);
  return { path: file, checksum: await checksumFile(file), ...info };
}

function linuxLines(inspected: ImageInfo & { readonly checksum: string }): string[] {
  const { checksum, program, versions, ...info } = inspected;
  const part = (name: string, { offset, length }: { offset: number; length: number }) =>
    `${name.padEnd(10)} ${length} bytes at ${offset}`;
  return [
    `checksum   ${checksum}  (BLAKE3)`,
    `size       ${info.sizeBytes} bytes`,
    `program    ${program.path} (${program.kind})`,
    `args       ${JSON.stringify(program.args)}`,
    `env        ${JSON.stringify(program.env)}`,
    ...(program.cwd === undefined ? [] : [`cwd        ${program.cwd}`]),
    ...(program.exec ? [`exec       ${execText(program.exec)}`] : []),
    `workspace  ${program.workspace}, root ${program.readonlyRootfs ? "read-only" : "writable"}`,
    ...(program.volumes ?? []).map(
      ({ label, path, readonly }) => `volume     ${label} at ${path}, ${readonly ? "read-only" : "writable"}`,
    ),
    ...(program.needsVsock ? ["vsock      takes its task over VSOCK alone"] : []),
    `runtime    Linux ${versions.kernel}${versions.node ? `, Node.js ${versions.node}` : ""}`,
    ...(info.resources ? [`resources  ${resourcesText(info.resources)}`] : []),
    ...(info.deadlineSeconds === undefined ? [] : [`deadline   ${info.deadlineSeconds} s a task`]),
    part("kernel", info.kernel),
    part("initrd", info.initrd),
    part("root", info.root),
  ];
}

function execText({ proofFile, outputs }: ExecProgram): string {
  const proof = proofFile === undefined ? "its standard output" : proofFile;
  return `the proof is ${proof}${outputs.length > 0 ? `, with the files ${outputs.join(" ")}` : ""}`;
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
