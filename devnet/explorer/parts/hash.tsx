import { useState } from "preact/hooks";
import { shortHash } from "../state/words.ts";

const SHOWN_MS = 1_500;

/** A hash or key, shortened, with a button that copies all of it. */
export function Hash(props: {
  readonly value: string;
  readonly href?: string | undefined;
  /** What it is, for the button's name: "Run". */
  readonly what: string;
  readonly isWhole?: boolean;
}) {
  const { value, href, what, isWhole = false } = props;
  const text = (
    <code class={isWhole ? "hash whole" : "hash"} title={value}>
      {isWhole ? value : shortHash(value)}
    </code>
  );
  return (
    <span class="hash-line">
      {href ? <a href={href}>{text}</a> : text}
      <CopyButton text={value} what={what} />
    </span>
  );
}

export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  const copy = async () => {
    setState((await copyText(text)) ? "done" : "failed");
    setTimeout(() => setState("idle"), SHOWN_MS);
  };
  const words = { idle: `Copy ${what}`, done: "Copied", failed: "Can't copy here: select it instead" }[state];
  return (
    <button type="button" class={`copy ${state}`} onClick={copy} title={words} aria-label={words}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        {state === "done" ? <path d="m3 8.5 3.2 3.2L13 5" /> : <path d="M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z" />}
      </svg>
    </button>
  );
}

/** Browsers give the clipboard only to secure pages; localhost is one, another address of this machine is not. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
