import { useState } from "preact/hooks";
import { useLive } from "../state/live.tsx";
import { goTo, type Place } from "../state/router.ts";
import { useNow } from "../state/useNow.ts";
import { ago } from "../state/words.ts";

const LINKS = [
  ["/", "Overview"],
  ["/runs", "Runs"],
  ["/programs", "Programs"],
] as const;

export function Header({ place }: { readonly place: Place }) {
  const section = `/${place.path.split("/")[1]}`;
  return (
    <header class="top">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <div class="top-inner">
        <a class="brand" href="/" aria-label="Gevulot explorer, overview">
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <rect width="32" height="32" rx="7" />
            <path d="M16 8.5 8.5 22h15z" />
            <circle cx="16" cy="8.5" r="3.4" />
            <circle cx="8.5" cy="22" r="3.4" />
            <circle cx="23.5" cy="22" r="3.4" />
          </svg>
          <span>Gevulot</span>
        </a>
        <nav aria-label="Main">
          {LINKS.map(([href, text]) => (
            <a key={href} href={href} aria-current={section === href ? "page" : undefined}>
              {text}
            </a>
          ))}
        </nav>
        <Search key={place.query.get("q") ?? ""} initial={place.query.get("q") ?? ""} />
        <LiveMark />
      </div>
    </header>
  );
}

function Search({ initial }: { readonly initial: string }) {
  const [text, setText] = useState(initial);
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = text.trim().toLowerCase().replace(/^0x/, "");
    if (wanted !== "") goTo(`/search?q=${encodeURIComponent(wanted)}`);
  };
  return (
    <search>
      <form onSubmit={submit} class="search">
        <label for="search" class="visually-hidden">
          Search by hash or its beginning
        </label>
        <input
          id="search"
          type="search"
          name="q"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          placeholder="Hash or its beginning"
          autocomplete="off"
          spellcheck={false}
          enterkeyhint="search"
        />
        <button type="submit" aria-label="Search">
          <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
            <path d="M11.5 7a4.5 4.5 0 1 1-9 0 4.5 4.5 0 0 1 9 0m-1.2 3.3L14 14" />
          </svg>
        </button>
      </form>
    </search>
  );
}

/** Whether what is shown is true now. */
function LiveMark() {
  const { connection, cutAt } = useLive();
  const now = useNow(connection === "cut");
  const words = {
    connecting: "Connecting",
    live: "Live",
    cut: `Cut off ${cutAt === null ? "" : ago(cutAt, Math.max(now, cutAt))}`,
  }[connection];
  return (
    <span class={`live ${connection}`} role="status" title={words}>
      <span class="live-dot" aria-hidden="true" />
      {connection === "cut" ? "Cut off" : words}
    </span>
  );
}
