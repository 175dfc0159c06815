import { mkdir, open, readFile, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { GevulotError } from "../errors.ts";
import { checkSecretKey, generateSecretKey, SECRET_KEY_BYTES } from "../protocol/keys.ts";
import { unreadable } from "./checksumFile.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    KEY_FILE_MISSING: { path: string };
    KEY_FILE_EXISTS: { path: string };
    KEY_FILE_INVALID: { path: string; lengthBytes: number };
  }
}

/** Reads a key file: exactly 32 raw bytes. Throws `KEY_FILE_MISSING`, `KEY_FILE_INVALID` or `FILE_UNREADABLE`. */
export async function readKeyFile(path: string): Promise<Uint8Array> {
  const content = await readFile(path).catch((cause: unknown) => {
    if (!hasCode(cause, "ENOENT")) throw unreadable(path, cause);
    throw new GevulotError(
      "KEY_FILE_MISSING",
      `There is no key file ${path}; make one: gevulot generate-key (for a node: gevulot-node generate key).`,
      {
        context: { path },
        cause,
      },
    );
  });
  try {
    if (content.length !== SECRET_KEY_BYTES) throw new Error(`${content.length} bytes`);
    return checkSecretKey(new Uint8Array(content));
  } catch (cause) {
    throw new GevulotError(
      "KEY_FILE_INVALID",
      `${path} is not a key file: it must hold the 32 raw bytes of a secp256k1 secret key and nothing else, and has ${content.length} bytes.`,
      { context: { path, lengthBytes: content.length }, cause },
    );
  }
}

/**
 * Makes a key and writes it to a new file that only its owner may read, with its folder where that is missing. Never
 * overwrites: throws `KEY_FILE_EXISTS`. Gives the secret key.
 */
export async function createKeyFile(path: string): Promise<Uint8Array> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "wx", 0o600).catch((cause: unknown) => {
    if (!hasCode(cause, "EEXIST")) throw cause;
    throw new GevulotError(
      "KEY_FILE_EXISTS",
      `${path} exists already and is left as it is; choose another path.`,
      {
        context: { path },
        cause,
      },
    );
  });
  const secretKey = generateSecretKey();
  try {
    await file.writeFile(secretKey);
    await file.sync();
  } catch (cause) {
    await unlink(path);
    throw cause;
  } finally {
    await file.close();
  }
  return secretKey;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
