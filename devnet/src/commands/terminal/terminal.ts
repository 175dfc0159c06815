/** A stream that may be a terminal: standard output or standard error. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Whether lines may be redrawn and coloured: a terminal, unless NO_COLOR or a dumb one says otherwise. */
export function isFancy(stream: TerminalStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

export interface Progress {
  /** Replaces what was said before, on a terminal; a line of its own elsewhere. */
  say(message: string): void;
  /** A line that stays. */
  line(text: string): void;
  /** Takes a passing line away. */
  clear(): void;
}

const ERASE_LINE = "\r\u001b[2K";
const DEFAULT_COLUMNS = 80;
const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** Says how far some work is. */
export function createProgress(
  stream: TerminalStream,
  options: { readonly fancy: boolean; readonly quiet?: boolean },
): Progress {
  let isShown = false;
  let said = 0;
  const clear = (): void => {
    if (isShown) stream.write(ERASE_LINE);
    isShown = false;
  };
  return {
    say(message) {
      if (options.quiet) return;
      if (!options.fancy) return void stream.write(`… ${message}\n`);
      // A terminal that does not know its width says 0.
      const width = (stream.columns || DEFAULT_COLUMNS) - 1;
      stream.write(ERASE_LINE + `${FRAMES[said++ % FRAMES.length]} ${message}`.slice(0, width));
      isShown = true;
    },
    line(text) {
      if (options.quiet) return;
      clear();
      stream.write(`${text}\n`);
    },
    clear,
  };
}
