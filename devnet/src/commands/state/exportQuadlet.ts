import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Argv, CommandModule, InferredOptionTypes, Options } from "yargs";
import { parseHostPort } from "../../hostPort.ts";
import { readContainerfile } from "../../operator/containerfile.ts";
import { writeOutputFiles } from "../../operator/outputFiles.ts";
import { NO_PASSTHROUGH, planPassthrough } from "../../operator/passthrough.ts";
import { quadletFiles } from "../../operator/quadlet.ts";
import { parseLspci, readPciDevices } from "../../pci/pciDevices.ts";
import { report } from "../terminal/report.ts";

const quadletOptions = {
  out: { type: "string", demandOption: true, requiresArg: true, describe: "Folder to write to" },
  advertise: {
    type: "string",
    demandOption: true,
    requiresArg: true,
    describe: "host:port at which peers reach the machine: behind NAT, the public address",
  },
  gpu: {
    type: "string",
    array: true,
    requiresArg: true,
    describe:
      "PCI slot of a card to hand to virtual machines, as lspci -nnD writes it; several times for several",
  },
  lspci: {
    type: "string",
    requiresArg: true,
    describe: "What `sudo lspci -nnDv` printed on the node's machine; default this machine's devices",
  },
  image: {
    type: "string",
    default: "localhost/gevulot-node:latest",
    requiresArg: true,
    describe: "The node's container image; localhost/… is built on the machine",
  },
  discovery: {
    type: "string",
    array: true,
    default: [],
    requiresArg: true,
    describe: "host:port of a node to begin with",
  },
  "acl-whitelist-url": {
    type: "string",
    requiresArg: true,
    describe: "Text file with the keys that may send",
  },
  "data-directory": {
    type: "string",
    default: "/var/lib/gevulot",
    requiresArg: true,
    describe: "On the machine: images, files, key",
  },
  force: { type: "boolean", default: false, describe: "Replace files that are there" },
  json: { type: "boolean", default: false, describe: "One line of JSON instead of text" },
} as const satisfies Record<string, Options>;

type QuadletArgs = InferredOptionTypes<typeof quadletOptions>;

export const exportQuadletCommand: CommandModule<object, QuadletArgs> = {
  command: "quadlet",
  describe: "Write systemd units for a node and PostgreSQL under Podman, and the host's files that they need",
  builder: (yargs: Argv) =>
    yargs
      .options(quadletOptions)
      .check(checkArgs)
      .example(
        "$0 export quadlet --out node1 --advertise node1.example:9999 --gpu 01:00.0",
        "",
      ) as Argv<QuadletArgs>,
  handler: (args) =>
    report("export quadlet", args, async () => {
      const { out, gpu = [] } = args;
      const devices = gpu.length === 0 ? [] : await readDevices(args.lspci);
      const passthrough = gpu.length === 0 ? NO_PASSTHROUGH : planPassthrough(devices, gpu);
      const files = quadletFiles(
        {
          image: args.image,
          advertise: args.advertise,
          discovery: args.discovery,
          whitelistUrl: args["acl-whitelist-url"],
          dataDirectory: args["data-directory"],
        },
        passthrough,
        await readContainerfile(),
      );
      await writeOutputFiles(out, files, { force: args.force });
      const paths = files.map(({ path }) => join(out, path));
      const { warnings } = passthrough;
      const lines = [...paths, "", `Next: follow ${join(out, "INSTALL.md")}`];
      return { lines, data: { files: paths }, warnings };
    }),
};

async function readDevices(lspciFile: string | undefined) {
  return lspciFile === undefined ? readPciDevices() : parseLspci(await readFile(lspciFile, "utf8"));
}

function checkArgs(args: Partial<QuadletArgs>): true | string {
  for (const address of [args.advertise ?? "", ...(args.discovery ?? [])]) {
    if (parseHostPort(address) === null) return `"${address}" is no host:port.`;
  }
  const { "data-directory": directory = "/", "acl-whitelist-url": url, image = "" } = args;
  if (!/^\/[^\s:%]+$/.test(directory))
    return `--data-directory wants an absolute path without blanks, not "${directory}".`;
  if (url !== undefined && !/^https?:\/\/\S+$/.test(url))
    return `--acl-whitelist-url: "${url}" is no http(s) URL.`;
  if (!/^[\w.-]+(:\d+)?\/[\w./:@-]+$/.test(image))
    return `--image wants a full name with its registry, such as ghcr.io/me/gevulot-node:latest, not "${image}".`;
  return true;
}
