import type { Argv, CommandModule } from "yargs";
import { gpuTemplate } from "../../image/gpu/gpuTemplate.ts";

interface Arguments {
  readonly kind: "gpu";
  readonly kernel: string;
  readonly driver: string;
}

const one = { type: "string", requiresArg: true } as const;

export const imageTemplateCommand: CommandModule<object, Arguments> = {
  command: "template <kind>",
  describe: "Print a Containerfile to begin with",
  builder: (yargs: Argv) =>
    yargs
      .positional("kind", { choices: ["gpu"] as const, demandOption: true, describe: "gpu: a CUDA program" })
      .option("kernel", {
        ...one,
        default: "6.1.0-41-amd64",
        describe: "The guest's kernel, as image build says it",
      })
      .option("driver", { ...one, default: "550.144.03", describe: "NVIDIA's driver" })
      .example("$0 image template gpu --kernel 6.1.0-41-amd64 >Containerfile", ""),
  handler: ({ kernel, driver }) => void process.stdout.write(gpuTemplate({ kernelVersion: kernel, driver })),
};
