import { resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { writeTfsVolume } from "../../image/nanos/writeTfsVolume.ts";
import { parseVolumeSize } from "../../vm/volumes/makeVolume.ts";
import { describeHolder } from "../../vm/volumes/volumeHolds.ts";
import {
  createVolumeStore,
  DEFAULT_VOLUMES_DIR,
  type Volume,
  type VolumeFormat,
} from "../../vm/volumes/volumeStore.ts";
import { report } from "../terminal/report.ts";
import { stoppable } from "../terminal/stoppable.ts";

interface Common {
  readonly "volumes-directory": string;
  readonly json: boolean;
}

/** Where volumes are; a node has the same option. */
export function volumesDirectoryOption<T>(yargs: Argv<T>) {
  return yargs.option("volumes-directory", {
    type: "string",
    requiresArg: true,
    default: process.env.GEVULOT_VOLUMES_DIRECTORY || DEFAULT_VOLUMES_DIR,
    defaultDescription: "GEVULOT_VOLUMES_DIRECTORY, else ~/.local/share/gevulot/volumes",
    describe: "Folder of the volumes",
  });
}

const common = <T>(yargs: Argv<T>) =>
  volumesDirectoryOption(yargs).option("json", {
    type: "boolean",
    default: false,
    describe: "One line of JSON",
  });

const storeOf = (given: Common) => createVolumeStore({ folder: resolve(given["volumes-directory"]) });

interface CreateArguments extends Common {
  readonly name: string;
  readonly size?: string | undefined;
  readonly dir?: string | undefined;
  readonly writable: boolean;
  readonly format: VolumeFormat;
}

const createCommand: CommandModule<object, CreateArguments> = {
  command: "create <name>",
  describe: "Make a volume, sparse",
  builder: (yargs: Argv) =>
    common(yargs)
      .positional("name", {
        type: "string",
        demandOption: true,
        describe: "As the manifest's Mounts name it",
      })
      .option("size", {
        alias: "s",
        type: "string",
        requiresArg: true,
        describe: "40g, 512m; default as large as the folder needs, or 1g",
      })
      .option("format", {
        choices: ["linux", "nanos"] as const,
        default: "linux" as const,
        describe: "Of the guests that use it: linux is ext4, nanos is TFS",
      })
      .option("writable", {
        type: "boolean",
        default: false,
        describe: "A node's tasks may write to it, whoever deployed them; vm run may always",
      })
      .option("dir", { alias: "d", type: "string", requiresArg: true, describe: "Folder to copy into it" })
      .example("$0 volume create params -s 40g -d ./params", 'mounted by Mounts {"params": "/params:ro"}'),
  handler: (given) =>
    report("volume create", given, async () => {
      const options = {
        name: given.name,
        sizeBytes: given.size === undefined ? undefined : parseVolumeSize(given.size),
        contentDir: given.dir === undefined ? undefined : resolve(given.dir),
        writable: given.writable,
        ...(given.format === "nanos" ? { write: writeTfsVolume } : {}),
      };
      const volume = await stoppable((signal) => storeOf(given).create({ ...options, signal }));
      const sizes = `${size(volume.sizeBytes)}, ${size(volume.usedBytes)} on disk`;
      return { lines: [`volume     ${volume.path}`, `size       ${sizes}`], data: volume };
    }),
};

const listCommand: CommandModule<object, Common> = {
  command: "list",
  describe: "Show the volumes and who uses them",
  builder: (yargs: Argv) => common(yargs).example("$0 volume list", "sizes, and which tasks have them"),
  handler: (given) =>
    report("volume list", given, async () => {
      const volumes = await storeOf(given).list();
      return { lines: table(volumes), data: volumes };
    }),
};

const deleteCommand: CommandModule<object, Common & { readonly name: string }> = {
  command: "delete <name>",
  describe: "Remove a volume that nobody uses",
  builder: (yargs: Argv) =>
    common(yargs)
      .positional("name", { type: "string", demandOption: true, describe: "A volume" })
      .example("$0 volume delete params", "its data is gone then"),
  handler: (given) =>
    report("volume delete", given, async () => {
      const { name } = given;
      await storeOf(given).delete(name);
      return { lines: [`deleted    ${name}`], data: { name } };
    }),
};

function table(volumes: readonly Volume[]): string[] {
  if (volumes.length === 0) return ["no volumes"];
  return volumes.map(({ name, format, writable, sizeBytes, usedBytes, holders }) =>
    [
      name.padEnd(24),
      format.padEnd(7),
      size(sizeBytes).padStart(10),
      `${size(usedBytes).padStart(10)} on disk`,
      writable ? "tasks write" : "tasks read",
      holders.map(describeHolder).join("; "),
    ]
      .join("  ")
      .trimEnd(),
  );
}

function size(bytes: number): string {
  const steps: readonly (readonly [string, number])[] = [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ];
  const [unit, factor] = steps.find(([, one]) => bytes >= one) ?? ["bytes", 1];
  return `${Number((bytes / factor).toFixed(1))} ${unit}`;
}

export const volumeCommand: CommandModule = {
  command: "volume",
  describe: "Disks with data that programs read or write, kept between tasks",
  builder: (yargs) =>
    yargs
      .command(createCommand)
      .command(listCommand)
      .command(deleteCommand)
      .demandCommand(1, "Say what to do: volume create, list or delete.")
      .strict(),
  handler: () => {},
};
