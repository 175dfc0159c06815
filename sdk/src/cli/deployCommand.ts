import type { Argv, CommandModule, InferredOptionTypes } from "yargs";
import { type ProgramSource, programInvalid } from "../actions/programSource.ts";
import { optionInvalid } from "../context/checkOptions.ts";
import { imageProblem } from "../node/imageProblem.ts";
import { isHash } from "../protocol/hash.ts";
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
        }),
        verifier: await programOf("verifier", {
          image: args.verifier,
          name: args.verifiername,
          url: args.verifierimgurl,
          resources: { cpus: args.verifiercpus, memMib: args.verifiermem, gpus: args.verifiergpus },
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

interface ProgramArguments {
  readonly image: string;
  readonly name: string | undefined;
  readonly url: string | undefined;
  readonly resources: Readonly<Record<"cpus" | "memMib" | "gpus", number | undefined>>;
}

async function programOf(
  role: "prover" | "verifier",
  { image, name, url, resources }: ProgramArguments,
): Promise<ProgramSource> {
  const asked = Object.fromEntries(Object.entries(resources).filter(([, value]) => value !== undefined));
  const common = {
    ...(name !== undefined && { name }),
    ...(Object.keys(asked).length > 0 && { resources: asked }),
  };
  const hash = image.toLowerCase();
  if (!isHash(hash)) {
    const problem = await imageProblem(image);
    if (problem !== null) throw programInvalid(role, problem);
    return { file: image, ...common, ...(url !== undefined && { url }) };
  }
  return url === undefined ? { hash } : { url, checksum: hash, ...common };
}
