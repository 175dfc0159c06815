/** Amounts and times as people read them. */

export function shortHash(hash: string): string {
  return hash.length <= 16 ? hash : `${hash.slice(0, 8)}…${hash.slice(-6)}`;
}

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "long" });

export function ago(at: number, now: number): string {
  const ms = Math.max(0, now - at);
  if (ms < 5_000) return "just now";
  for (const [unit, length] of UNITS) {
    if (ms >= length) return relative.format(-Math.floor(ms / length), unit);
  }
  return relative.format(-Math.floor(ms / 1_000), "second");
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

export function mebibytes(memMib: number): string {
  return memMib >= 1_024 ? `${(memMib / 1_024).toFixed(memMib % 1_024 === 0 ? 0 : 1)} GiB` : `${memMib} MiB`;
}

export function bytes(count: number): string {
  if (count < 1_024) return count === 1 ? "1 byte" : `${count} bytes`;
  const units = ["KiB", "MiB", "GiB"];
  let value = count / 1_024;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
