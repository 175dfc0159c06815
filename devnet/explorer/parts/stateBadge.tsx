/** States in word and form, never in colour alone. */

const FORMS: Readonly<Record<string, { readonly tone: string; readonly path: string }>> = {
  submitted: { tone: "quiet", path: "M8 4.5V8l2.2 1.4M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0" },
  queued: { tone: "quiet", path: "M8 4.5V8l2.2 1.4M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0" },
  connecting: { tone: "quiet", path: "M8 4.5V8l2.2 1.4M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0" },
  proving: { tone: "busy", path: "M14 8a6 6 0 1 1-6-6" },
  running: { tone: "busy", path: "M14 8a6 6 0 1 1-6-6" },
  verifying: { tone: "busy", path: "M14 8a6 6 0 1 1-6-6" },
  complete: { tone: "good", path: "m3 8.5 3.2 3.2L13 5" },
  done: { tone: "good", path: "m3 8.5 3.2 3.2L13 5" },
  up: { tone: "good", path: "m3 8.5 3.2 3.2L13 5" },
  failed: { tone: "bad", path: "m4 4 8 8m0-8-8 8" },
  away: { tone: "bad", path: "m4 4 8 8m0-8-8 8" },
};

export function StateBadge({ state }: { readonly state: string }) {
  const { tone, path } = FORMS[state] ?? { tone: "quiet", path: "M4 8h8" };
  return (
    <span class={`badge ${tone}`}>
      <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden="true">
        <path d={path} />
      </svg>
      {state}
    </span>
  );
}
