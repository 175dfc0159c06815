import type { Argv, CommandModule, InferredOptionTypes } from "yargs";
import { type ProgramSource, programInvalid } from "../actions/programSource.ts";
import { optionInvalid } from "../context/checkOptions.ts";
import { imageProblem } from "../node/imageProblem.ts";
import { isHash } from "../protocol/hash.ts";
import { type ProgramVolume, parseVolume } from "../protocol/programVolumes.ts";
import { type CommonArguments, createClient, fileOptions } from "./commonOptions.ts";
import { runCommand } from "./output.ts";
import { withProgress } from "./progressLine.ts";

const deployOptions = {
  ...fileOptions,
  name: { alias: "n", type: "string", demandOption: true, describe: "Name of the deployment, for people" },
  prover: {
    alias: "p",
    type: "string",
    demandOption: true,
    describe:
      "An image file; with --proverimgurl the image's BLAKE3 instead; without, a deployed program's hash",
  },
  verifier: { alias: "v", type: "string", demandOption: true, describe: "Likewise" },
  provername: { type: "string", describe: "Default: the image's file name" },
  verifiername: { type: "string", describe: "Default: the image's file name" },
  proverimgurl: { type: "string", describe: "Where the node finds the prover's image" },
  verifierimgurl: { type: "string", describe: "Where the node finds the verifier's image" },
  provercpus: { type: "number", describe: "Processor cores; default the image's own, else 2" },
  provermem: { type: "number", describe: "MiB of memory; default the image's own, else 2048" },
  provergpus: { type: "number", describe: "GPUs; default the image's own, else 0" },
  verifiercpus: { type: "number", describe: "Processor cores; default the image's own, else 2" },
  verifiermem: { type: "number", describe: "MiB of memory; default the image's own, else 2048" },
  verifiergpus: { type: "number", describe: "GPUs; default the image's own, else 0" },
  provervolume: {
    type: "string",
    array: true,
    nargs: 1,
    describe: "A volume of the node: NAME:/path, :ro at the end for reading only; repeatable",
  },
  verifiervolume: { type: "string", array: true, nargs: 1, describe: "Likewise" },
} as const;

const RESOURCE_FLAGS = [
  "provercpus",
  "provermem",
  "provergpus",
  "verifiercpus",
  "verifiermem",
  "verifiergpus",
] as const;

type Arguments = CommonArguments & InferredOptionTypes<typeof deployOptions>;

export const deployCommand: CommandModule<object, Arguments> = {
  command: "deploy",
  describe: "Deploy a prover and its verifier",
  builder: (yargs: Argv) =>
    yargs
      // For the volumes.
      .parserConfiguration({ "duplicate-arguments-array": true })
      .middleware(keepLast)
      .options(deployOptions)
      .example("$0 deploy -n factors -p prover.img -v verifier.img", "from images") as Argv<Arguments>,
  handler: (args) =>
    runCommand("deploy", args, async () => {
      const unread = RESOURCE_FLAGS.find((name) => Number.isNaN(args[name]));
      if (unread) throw optionInvalid(`--${unread}`, "give a whole number");
      const client = createClient(args, args);
      const programs = {
        prover: await programOf("prover", {
          image: args.prover,
          name: args.provername,
          url: args.proverimgurl,
          resources: { cpus: args.provercpus, memMib: args.provermem, gpus: args.provergpus },
          volumes: args.provervolume,
        }),
        verifier: await programOf("verifier", {
          image: args.verifier,
          name: args.verifiername,
          url: args.verifierimgurl,
          resources: { cpus: args.verifiercpus, memMib: args.verifiermem, gpus: args.verifiergpus },
          volumes: args.verifiervolume,
        }),
      };
      const { hash, prover, verifier } = await withProgress(args, (onProgress) =>
        client.deploy({ name: args.name, ...programs, onProgress }),
      );
      return {
        lines: [`Prover hash:${prover.hash}`, `Verifier hash:${verifier.hash}.`, `Tx Hash:${hash}`],
        data: { hash, prover, verifier },
      };
    }),
};

/** As in the other commands the last counts of what is given twice and is no list. */
function keepLast(args: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(args)) {
    if (Array.isArray(value) && name !== "_" && !name.endsWith("volume")) args[name] = value.at(-1);
  }
}

interface ProgramArguments {
  readonly image: string;
  readonly name: string | undefined;
  readonly url: string | undefined;
  readonly resources: Readonly<Record<"cpus" | "memMib" | "gpus", number | undefined>>;
  readonly volumes: readonly string[] | undefined;
}

async function programOf(
  role: "prover" | "verifier",
  { image, name, url, resources, volumes }: ProgramArguments,
): Promise<ProgramSource> {
  const asked = Object.fromEntries(Object.entries(resources).filter(([, value]) => value !== undefined));
  const mounts = volumes && { volumes: volumes.map((text) => readVolume(`--${role}volume`, text)) };
  const common = {
    ...mounts,
    ...(name !== undefined && { name }),
    ...(Object.keys(asked).length > 0 && { resources: asked }),
  };
  const hash = image.toLowerCase();
  if (!isHash(hash)) {
    const problem = await imageProblem(image);
    if (problem !== null) throw programInvalid(role, problem);
    return { file: image, ...common, ...(url !== undefined && { url }) };
  }
  return url === undefined ? { hash, ...mounts } : { url, checksum: hash, ...common };
}

function readVolume(option: string, text: string): ProgramVolume {
  const volume = parseVolume(text);
  if (volume !== null) return volume;
  throw optionInvalid(option, `"${text}" is no volume and its path; write it as params:/params:ro`);
}
