import { isGevulotError } from "gevulot-sdk";
import type { ProgramRef, ProgramView } from "./api.ts";
import { askFirst } from "./askNodes.ts";
import type { NodeLink } from "./nodeLink.ts";

/** What does not change is asked for once. */
export interface Programs {
  /** Throws as `askFirst` does. */
  get(hash: string): Promise<ProgramView>;
  /** Null names where no node knows them. */
  refs(hashes: readonly string[]): Promise<ProgramRef[]>;
}

interface WireProgram {
  readonly name: string;
  readonly image_file_name: string;
  readonly image_file_url: string;
  readonly image_file_checksum: string;
  readonly resource_requirements: { readonly mem: number; readonly cpus: number; readonly gpus: number };
}

const MAX_KEPT = 1_000;

export function createPrograms(links: () => readonly NodeLink[]): Programs {
  const kept = new Map<string, ProgramView>();
  const get = async (hash: string): Promise<ProgramView> => {
    const known = kept.get(hash);
    if (known) return known;
    const wire = await askFirst(
      links(),
      (link) => link.call<WireProgram>("getProgram", toWire(hash)),
      `The program ${hash}`,
    );
    const { mem, cpus, gpus } = wire.resource_requirements;
    const view: ProgramView = {
      program: hash,
      name: wire.name,
      imageFileName: wire.image_file_name,
      imageFileUrl: wire.image_file_url,
      imageFileChecksum: wire.image_file_checksum,
      ...{ memMib: mem, cpus, gpus },
    };
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value as string);
    kept.set(hash, view);
    return view;
  };
  return {
    get,
    refs: (hashes) =>
      Promise.all(
        hashes.map(async (hash) => {
          const program = await get(hash).catch((error: unknown) => {
            if (isGevulotError(error)) return null;
            throw error;
          });
          return { hash, name: program?.name ?? null };
        }),
      ),
  };
}

/** A hash as the RPC takes it. */
export function toWire(hash: string): number[] {
  return [...Buffer.from(hash, "hex")];
}
