import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesToHex, sha3_256 } from "gevulot-sdk/protocol";
import { publicKeyOf } from "../nativeKeys.ts";

/** A developer's key. Everyone knows it: it is the same in every devnet. */
export interface Account {
  readonly publicKey: string;
  /** 64 hex digits. */
  readonly secretKey: string;
  readonly keyFile: string;
}

const ACCOUNT_COUNT = 3;

/** SHA3-256 of a fixed text: the same keys in every devnet, so that tests and scripts can hold them. */
function devnetSecretKey(role: "account" | "node", index: number): Uint8Array {
  return sha3_256(new TextEncoder().encode(`gevulot devnet ${role} ${index}`));
}

/** Writes the key files of the developers and the nodes. */
export async function writeKeyFiles(
  keysDir: string,
  nodes: number,
): Promise<{ accounts: Account[]; nodeKeyFiles: string[] }> {
  await mkdir(keysDir, { recursive: true });
  const write = async (name: string, secretKey: Uint8Array): Promise<string> => {
    const path = join(keysDir, name);
    await writeFile(path, secretKey, { mode: 0o600 });
    return path;
  };
  const accounts: Account[] = [];
  for (let index = 0; index < ACCOUNT_COUNT; index++) {
    const secretKey = devnetSecretKey("account", index);
    const keyFile = await write(`account${index}.key`, secretKey);
    accounts.push({ publicKey: publicKeyOf(secretKey), secretKey: bytesToHex(secretKey), keyFile });
  }
  const nodeKeyFiles: string[] = [];
  for (let index = 0; index < nodes; index++) {
    nodeKeyFiles.push(await write(`node${index}.key`, devnetSecretKey("node", index)));
  }
  return { accounts, nodeKeyFiles };
}
