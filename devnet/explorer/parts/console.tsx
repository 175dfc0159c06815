import type { ComponentChildren, Ref } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const MAX_CHARS = 200_000;
/** Colours, cursor movements and titles that programs write to terminals. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it takes them out
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: it takes them out
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text alone: what a program writes must neither move, hide nor reverse anything. */
export function cleanConsole(text: string): string {
  return text.replace(ESCAPES, "").replace(/\r\n?/g, "\n").replace(CONTROLS, "");
}

export type ConsoleState = "opening" | "live" | "ended" | "gone";

interface Shown {
  readonly text: string;
  readonly skipped: number;
  readonly attempt: number;
  readonly state: ConsoleState;
}

/** The console of a task, live; of one whose node is away, or has removed it, the end that the task's record holds. */
export function Console(props: {
  readonly task: string;
  readonly node: string | null;
  readonly name: string;
  readonly tail: string;
}) {
  const { text, skipped, state } = useConsole(props.task, props.node);
  const shown = cleanConsole(state === "gone" && text === "" ? props.tail : text);
  const ref = useRef<HTMLElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    const element = ref.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [shown]);
  const onScroll = () => {
    const element = ref.current;
    if (element) isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
  };
  const words = {
    opening: "opening…",
    live: "live",
    ended: "ended",
    gone: "its last words, as the task's record has them",
  }[state];
  return (
    <figure class="console-box">
      <figcaption>
        <span>{props.name}</span>
        <span class={`console-state ${state}`}>{words}</span>
      </figcaption>
      {skipped > 0 && <p class="muted">The first {skipped.toLocaleString("en")} bytes are left out.</p>}
      <Terminal name={props.name} scroller={ref} onScroll={onScroll}>
        {shown === "" ? (
          <span class="muted">It has written nothing{state === "live" && " yet"}.</span>
        ) : (
          shown
        )}
      </Terminal>
    </figure>
  );
}

/** Text that scrolls in a box of its own; by keyboard, too. */
export function Terminal(props: {
  readonly name: string;
  readonly children: ComponentChildren;
  readonly isShort?: boolean;
  readonly scroller?: Ref<HTMLElement>;
  readonly onScroll?: () => void;
}) {
  return (
    <section
      ref={props.scroller ?? null}
      class={props.isShort ? "console short" : "console"}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label={props.name}
      onScroll={props.onScroll}
    >
      <pre>{props.children}</pre>
    </section>
  );
}

function useConsole(task: string, node: string | null): Shown {
  const nothing: Shown = { text: "", skipped: 0, attempt: 0, state: node === null ? "gone" : "opening" };
  const [shown, setShown] = useState(nothing);
  useEffect(() => {
    if (node === null) return;
    const source = new EventSource(`/api/tasks/${task}/console?node=${node}`);
    source.addEventListener("attempt", ({ data }) =>
      setShown({ ...nothing, ...JSON.parse(data), state: "live" }),
    );
    source.addEventListener("text", ({ data }) => {
      const { text, skipped } = JSON.parse(data) as { text: string; skipped: number };
      setShown((before) => {
        const all = before.text + text;
        const cut = Math.max(0, all.length - MAX_CHARS);
        return { ...before, text: all.slice(cut), skipped: before.skipped + skipped + cut };
      });
    });
    source.addEventListener("end", () => {
      setShown((before) => ({ ...before, state: "ended" }));
      source.close();
    });
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setShown((before) => ({ ...before, state: "gone" }));
    };
    return () => source.close();
  }, [task, node]);
  return shown;
}
