import { open, readFile, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { GevulotError } from "../errors.ts";
import { checkSecretKey, generateSecretKey, SECRET_KEY_BYTES } from "../protocol/keys.ts";
import { unreadable } from "./checksumFile.ts";
import { makeFolder } from "./makeFolder.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    KEY_FILE_MISSING: { path: string };
    KEY_FILE_EXISTS: { path: string };
    /** `reason` is the system's code, as `EACCES`. */
    KEY_FILE_NOT_WRITTEN: { path: string; reason: string };
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
 * overwrites: throws `KEY_FILE_EXISTS`, or `KEY_FILE_NOT_WRITTEN`. Gives the secret key.
 */
export async function createKeyFile(path: string): Promise<Uint8Array> {
  const secretKey = generateSecretKey();
  try {
    await makeFolder(dirname(path));
    await writeNew(path, secretKey);
  } catch (cause) {
    if (hasCode(cause, "EEXIST")) {
      throw new GevulotError(
        "KEY_FILE_EXISTS",
        `${path} exists already and is left as it is; choose another path.`,
        { context: { path }, cause },
      );
    }
    const reason = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new GevulotError(
      "KEY_FILE_NOT_WRITTEN",
      `Can't write the key file ${path} (${reason}); choose a path that you may write to.`,
      { context: { path, reason }, cause },
    );
  }
  return secretKey;
}

async function writeNew(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (cause) {
    await unlink(path);
    throw cause;
  } finally {
    await file.close();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
