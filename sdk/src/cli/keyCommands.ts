import { resolve } from "node:path";
import type { CommandModule } from "yargs";
import { createKeyFile, readKeyFile } from "../node/keyFile.ts";
import { publicKeyOf } from "../protocol/keys.ts";
import type { CommonArguments } from "./commonOptions.ts";
import { runCommand } from "./output.ts";

export const generateKeyCommand: CommandModule<object, CommonArguments> = {
  command: "generate-key",
  describe: "Make a key and save it in a new file",
  handler: (args) =>
    runCommand("generate-key", args, async () => {
      const publicKey = publicKeyOf(await createKeyFile(args.keyfile));
      return {
        lines: [`Key generated  pubkey:${publicKey} and saved in file:${args.keyfile}`],
        data: { publicKey, file: resolve(args.keyfile) },
      };
    }),
};

export const showPublicKeyCommand: CommandModule<object, CommonArguments> = {
  command: "show-public-key",
  describe: "Show the public key of a key file",
  handler: (args) =>
    runCommand("show-public-key", args, async () => {
      const publicKey = publicKeyOf(await readKeyFile(args.keyfile));
      return { lines: [`Public key: ${publicKey}`], data: { publicKey } };
    }),
};
