// `npm run bench -- devnet [rounds] [idle seconds]`: a devnet of three nodes beside the start of a bare Node.js process.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { binPath, runCli } from "../fixtures/cli.ts";

const rounds = Number(process.argv[2] ?? 5);
const idleSeconds = Number(process.argv[3] ?? 20);
const TICKS_PER_SECOND = 100;

const dir = mkdtempSync(join(tmpdir(), "bench-"));
const env = { XDG_STATE_HOME: join(dir, "user-state") };

function bareMs(): number {
  const begun = performance.now();
  execFileSync(process.execPath, ["-e", "0"]);
  return performance.now() - begun;
}

async function startUp() {
  const begun = performance.now();
  const args = [binPath("gevulot-devnet"), "up", "--nodes=3", "--provider=process", "--json"];
  const child = spawn(process.execPath, args, { cwd: dir, env: { ...process.env, ...env } });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const ended = once(child, "exit").then(() => {
    throw new Error(`up ended: ${said}`);
  });
  ended.catch(() => {});
  const [line] = await Promise.race([once(child.stdout, "data"), ended]);
  const ms = performance.now() - begun;
  return { child, ms, pids: JSON.parse(String(line)).data.nodes.map(({ pid }: { pid: number }) => pid) };
}

async function downMs(child: ReturnType<typeof spawn>): Promise<number> {
  const gone = once(child, "exit");
  const begun = performance.now();
  await runCli("gevulot-devnet", ["down"], { cwd: dir, env });
  await gone;
  return performance.now() - begun;
}

const median = (values: number[]): number =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const pssMib = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]) / 1_024;
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
};

try {
  const bare: number[] = [];
  const warm: number[] = [];
  const down: number[] = [];
  bare.push(bareMs());
  const first = await startUp();
  down.push(await downMs(first.child));
  for (let round = 0; round < rounds; round++) {
    bare.push(bareMs());
    const up = await startUp();
    warm.push(up.ms);
    if (round === rounds - 1) {
      const all = [...up.pids, up.child.pid as number];
      const before = all.map(cpuSeconds);
      await delay(idleSeconds * 1_000);
      const used = all.reduce((sum, pid, index) => sum + cpuSeconds(pid) - (before[index] as number), 0);
      const pss = up.pids.map(pssMib).reduce((sum: number, each: number) => sum + each, 0);
      console.log(
        `idle for ${idleSeconds} s: three nodes ${pss.toFixed(0)} MiB PSS, with up ${(pss + pssMib(up.child.pid as number)).toFixed(0)} MiB; ${((used / idleSeconds) * 100).toFixed(2)} % of a core`,
      );
    }
    down.push(await downMs(up.child));
  }
  const reference = median(bare);
  const line = (what: string, ms: number) =>
    console.log(`${what}: ${(ms / 1_000).toFixed(2)} s, ${(ms / reference).toFixed(1)} times a bare start`);
  console.log(`a bare Node.js process: ${(reference / 1_000).toFixed(2)} s`);
  line("three nodes and PostgreSQL ready, first time", first.ms);
  line(`three nodes and PostgreSQL ready, warm (median of ${rounds})`, median(warm));
  line("down (median)", median(down));
} finally {
  await runCli("gevulot-devnet", ["down", "--quiet"], { cwd: dir, env });
  rmSync(dir, { recursive: true, force: true });
}
