import { concatBytes, utf8 } from "./bytes.ts";
import { sha3_256 } from "./hash.ts";
import { bytesToHex } from "./hex.ts";
import type { Hash, ProgramMetadata, Resources } from "./transaction.ts";

/** What a program gets whose deployer asked for nothing (protocol section 1). */
export const DEFAULT_RESOURCES: Resources = Object.freeze({ memMib: 2048n, cpus: 2n, gpus: 0n });

export type ProgramIdentity = Pick<
  ProgramMetadata,
  "name" | "imageFileName" | "imageFileUrl" | "imageFileChecksum"
>;

/** Protocol section 2. The URL is part of a program's identity; the resources are not. */
export function programHash(program: ProgramIdentity): Hash {
  const { name, imageFileName, imageFileUrl, imageFileChecksum } = program;
  return bytesToHex(
    sha3_256(concatBytes([name, imageFileName, imageFileUrl, imageFileChecksum].map((text) => utf8(text)))),
  );
}

/** Fills in the hash. `resources` left out or `null` asks for {@link DEFAULT_RESOURCES}. */
export function createProgramMetadata(
  program: ProgramIdentity & { readonly resources?: Resources | null },
): ProgramMetadata {
  const { name, imageFileName, imageFileUrl, imageFileChecksum, resources = null } = program;
  const hash = programHash(program);
  return { name, hash, imageFileName, imageFileUrl, imageFileChecksum, resources };
}
