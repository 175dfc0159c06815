import { useNow } from "../state/useNow.ts";
import { ago } from "../state/words.ts";

/** How long ago, with the time itself beneath the pointer and for machines. */
export function Time({ at }: { readonly at: string }) {
  const now = useNow();
  const date = new Date(at);
  return (
    <time dateTime={at} title={date.toLocaleString(undefined, { dateStyle: "long", timeStyle: "long" })}>
      {ago(date.getTime(), now)}
    </time>
  );
}
