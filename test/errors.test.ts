import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { isTest } from "./tidy/importRules.ts";
import { readSources, root, type Source } from "./tidy/sources.ts";

const page = readFileSync(join(root, "docs/errors.md"), "utf8");

/** The codes that a file declares: members of `ErrorContexts`, or of the shim's union. */
function declaredCodes({ ast }: Source): string[] {
  const codes: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isInterfaceDeclaration(node) && node.name.text === "ErrorContexts") {
      for (const member of node.members) if (member.name) codes.push(member.name.getText(ast));
    }
    if (
      ts.isTypeAliasDeclaration(node) &&
      node.name.text === "ShimErrorCode" &&
      ts.isUnionTypeNode(node.type)
    ) {
      for (const each of node.type.types) codes.push(each.getText(ast).replaceAll('"', ""));
    }
    ts.forEachChild(node, visit);
  };
  visit(ast);
  return codes;
}

test("docs/errors.md has each error code of the sources, with cause and mend, and no other", () => {
  const sources = [...readSources().values()];
  const declared = new Set(
    sources
      .filter(({ path }) => /^(sdk|shim|devnet)\/src\//.test(path) && !isTest(path))
      .flatMap(declaredCodes),
  );
  const described = [...page.matchAll(/^### (\w+)\n\n\*Cause:\* .+\n\n\*Mend:\* .+$/gm)].map(
    ([, code]) => code,
  );
  expect(declared.size).toBeGreaterThan(80);
  expect(page.match(/^### /gm)).toHaveLength(described.length);
  expect(described.toSorted()).toEqual([...declared].sort());
});
