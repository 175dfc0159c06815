/** Older and newest pages of a list; where one is stands in the address. */
export function Pager(props: {
  readonly place: string;
  readonly query: URLSearchParams;
  readonly next: string | null;
}) {
  const { place, query, next } = props;
  const isFirst = !query.has("before");
  if (isFirst && next === null) return null;
  return (
    <nav class="pager" aria-label="Pages of this list">
      {!isFirst && <a href={withQuery(place, query, { before: null })}>Newest</a>}
      {next !== null && (
        <a rel="next" href={withQuery(place, query, { before: next })}>
          Older
        </a>
      )}
    </nav>
  );
}

/** The address with other values; null takes one out. */
export function withQuery(
  path: string,
  query: URLSearchParams,
  changes: Readonly<Record<string, string | null>>,
): string {
  const changed = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) changed.delete(name);
    else changed.set(name, value);
  }
  const text = changed.toString();
  return text === "" ? path : `${path}?${text}`;
}
