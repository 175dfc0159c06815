import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly gzip: Buffer;
  /** Its name changes with its content. */
  readonly isImmutable: boolean;
}

/** Where the build puts the page; the same seen from the sources and from what is compiled. */
export const PAGE_FOLDER = fileURLToPath(new URL("../../dist/explorer-page", import.meta.url));

export const INDEX = "index.html";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** The page's files by name, or null where the page was not built. */
export function readAssets(folder = PAGE_FOLDER): ReadonlyMap<string, Asset> | null {
  if (!existsSync(join(folder, INDEX))) return null;
  const names = readdirSync(folder).filter((name) => TYPES[extname(name)] !== undefined);
  return new Map(
    names.map((name) => {
      const body = readFileSync(join(folder, name));
      const isImmutable = /-[A-Z0-9]{8}\.\w+$/.test(name);
      return [name, { type: TYPES[extname(name)] as string, body, gzip: gzipSync(body), isImmutable }];
    }),
  );
}
