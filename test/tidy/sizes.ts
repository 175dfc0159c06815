import ts from "typescript";
import type { Source } from "./sources.ts";

export interface Sizes {
  readonly files: number;
  readonly median: number;
  readonly percentile90: number;
  readonly largest: readonly { readonly path: string; readonly lines: number }[];
}

export function fileSizes(sources: readonly Source[]): Sizes {
  const sizes = sources.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
  sizes.sort((a, b) => b.lines - a.lines);
  const at = (share: number) => sizes[Math.floor((sizes.length - 1) * (1 - share))]?.lines ?? 0;
  return { files: sizes.length, median: at(0.5), percentile90: at(0.9), largest: sizes.slice(0, 5) };
}

/** Functions longer than the limit, as `path:line name (lines)`. */
export function longFunctions(source: Source, limit: number): string[] {
  const found: string[] = [];
  const lineOf = (position: number) => source.ast.getLineAndCharacterOfPosition(position).line + 1;
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      const first = lineOf(node.getStart(source.ast));
      const lines = lineOf(node.getEnd()) - first + 1;
      const name = node.name?.getText(source.ast) ?? "a function";
      if (lines > limit) found.push(`${source.path}:${first} ${name} (${lines} lines)`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source.ast);
  return found;
}
