import type { ComponentChildren } from "preact";
import type { ProblemView } from "../../src/explorer/api.ts";
import { CopyButton } from "./hash.tsx";

export function Command({ text }: { readonly text: string }) {
  return (
    <span class="command">
      <code>{text}</code>
      <CopyButton text={text} what="command" />
    </span>
  );
}

/** Nothing is there yet: why, and the command that changes it. */
export function Empty(props: {
  readonly title: string;
  readonly children?: ComponentChildren;
  readonly command?: string;
}) {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      {props.children && <p>{props.children}</p>}
      {props.command && <Command text={props.command} />}
    </div>
  );
}

export function Problem({ problem }: { readonly problem: ProblemView }) {
  return (
    <div class="notice bad" role="alert">
      <p class="notice-title">{problem.code}</p>
      <p>{problem.message}</p>
    </div>
  );
}

export function Loading() {
  return (
    <p class="loading" role="status">
      Reading…
    </p>
  );
}
