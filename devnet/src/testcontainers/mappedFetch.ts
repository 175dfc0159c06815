/** A fetch that finds what has another address here: origins inside to origins outside. */
export function createMappedFetch(origins: ReadonlyMap<string, string>): typeof globalThis.fetch {
  return (input, init) => {
    if (input instanceof Request) {
      const url = mapped(input.url, origins);
      return globalThis.fetch(url === input.url ? input : new Request(url, input), init);
    }
    return globalThis.fetch(mapped(String(input), origins), init);
  };
}

function mapped(url: string, origins: ReadonlyMap<string, string>): string {
  const { origin, pathname, search } = new URL(url);
  const outside = origins.get(origin);
  return outside === undefined ? url : `${outside}${pathname}${search}`;
}
