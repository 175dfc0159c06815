import type { JSX } from "preact";
import { OverviewPage } from "./pages/overview.tsx";
import { ProgramPage } from "./pages/program.tsx";
import { ProgramsPage } from "./pages/programs.tsx";
import { RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { SearchPage } from "./pages/search.tsx";
import { Header } from "./parts/header.tsx";
import { Empty } from "./parts/notices.tsx";
import { Page } from "./parts/page.tsx";
import { LiveProvider, useLive } from "./state/live.tsx";
import { type Place, usePlace } from "./state/router.ts";
import { useNow } from "./state/useNow.ts";
import { duration } from "./state/words.ts";

export function App() {
  const place = usePlace();
  return (
    <LiveProvider>
      <Header place={place} />
      <main id="main" tabIndex={-1}>
        <CutOff />
        <Content key={place.path} place={place} />
      </main>
      <footer class="bottom">
        <p>
          It only reads. Everything it shows comes from the nodes' RPC; the same in a shell:{" "}
          <code>gevulot-devnet status</code>, <code>trace</code>, <code>logs</code>.
        </p>
      </footer>
    </LiveProvider>
  );
}

function Content({ place }: { readonly place: Place }): JSX.Element {
  const { path, query } = place;
  const [, section, hash] = /^\/(\w*)(?:\/([0-9a-f]{64}))?$/.exec(path) ?? [];
  if (section === "runs" && hash) return <RunPage hash={hash} />;
  if (section === "programs" && hash) return <ProgramPage hash={hash} query={query} />;
  if (section === "runs") return <RunsPage query={query} />;
  if (section === "programs") return <ProgramsPage query={query} />;
  if (section === "search") return <SearchPage wanted={query.get("q") ?? ""} />;
  if (section === "") return <OverviewPage />;
  return (
    <Page title="No such page">
      <Empty title="This address leads nowhere.">
        Begin at the <a href="/">overview</a>, or search for a hash above.
      </Empty>
    </Page>
  );
}

const PATIENCE_MS = 2_000;

/** Said when it lasts: a cut that mends itself at once is nobody's news. */
function CutOff() {
  const { connection, cutAt } = useLive();
  const now = useNow(connection === "cut");
  const forMs = cutAt === null ? 0 : now - cutAt;
  const isShown = connection === "cut" && forMs >= PATIENCE_MS;
  return (
    <div aria-live="polite">
      {isShown && (
        <div class="notice warn">
          <p class="notice-title">Cut off from the devnet</p>
          <p>
            What is shown is {duration(forMs)} old. It goes on by itself when the devnet answers; does it run?{" "}
            <code>gevulot-devnet status</code>
          </p>
        </div>
      )}
    </div>
  );
}
