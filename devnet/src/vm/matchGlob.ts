type Token =
  | { readonly kind: "char"; readonly char: string }
  /** `?`, `*` and `**`. */
  | { readonly kind: "any" | "star" | "deep" }
  /** What follows is reached at once, or by any folders, which are the next token. */
  | { readonly kind: "optional" | "folders" };

/** What all matching of one task may cost; far more than ten thousand files and a dozen patterns take. */
export interface GlobBudget {
  steps: number;
}

/** The pattern and the names are such that matching takes too long. */
export class GlobTooCostly extends Error {}

/**
 * Whether a path matches a pattern of `*`, `?` and `**`. Both may come from strangers: no more than their lengths
 * multiplied is taken from the budget, where a regular expression could go on for years.
 *
 * @throws GlobTooCostly
 */
export function matchGlob(pattern: string, budget: GlobBudget): (path: string) => boolean {
  const tokens = tokensOf(pattern);
  /** Adds a place in the pattern, and those that are reached from it without a character. */
  const reach = (places: Set<number>, at: number): void => {
    if (places.has(at)) return;
    places.add(at);
    const kind = tokens[at]?.kind;
    if (kind === "star" || kind === "deep" || kind === "optional") reach(places, at + 1);
    if (kind === "optional") reach(places, at + 2);
  };
  return (path) => {
    let places = new Set<number>();
    reach(places, 0);
    for (const char of path) {
      budget.steps -= places.size;
      if (budget.steps < 0) throw new GlobTooCostly();
      if (places.size === 0) return false;
      const next = new Set<number>();
      for (const at of places) for (const to of follow(tokens[at], at, char)) reach(next, to);
      places = next;
    }
    return places.has(tokens.length);
  };
}

function follow(token: Token | undefined, at: number, char: string): number[] {
  switch (token?.kind) {
    case "char":
      return char === token.char ? [at + 1] : [];
    case "any":
      return char === "/" ? [] : [at + 1];
    case "star":
      return char === "/" ? [] : [at];
    case "deep":
      return [at];
    case "folders":
      return char === "/" ? [at, at + 1] : [at];
    default:
      return [];
  }
}

function tokensOf(pattern: string): Token[] {
  return pattern.split(/(\*\*\/|\*\*|\*|\?)/).flatMap((part): Token[] => {
    if (part === "**/") return [{ kind: "optional" }, { kind: "folders" }];
    if (part === "**") return [{ kind: "deep" }];
    if (part === "*") return [{ kind: "star" }];
    if (part === "?") return [{ kind: "any" }];
    return [...part].map((char) => ({ kind: "char", char }));
  });
}
