import { parseHostPort } from "../../hostPort.ts";
import type { WireNodeHello } from "../wire/messages.ts";

const MAX_ID_CHARS = 255;

/** What keeps a node from registering; null where nothing does. */
export function refusalOfHello(hello: WireNodeHello): string | null {
  const { node_id: id, addr } = hello;
  if (id.length === 0 || id.length > MAX_ID_CHARS || /\p{Cc}/u.test(id)) {
    return `its name must be a line of 1 to ${MAX_ID_CHARS} characters: mend name in its configuration`;
  }
  if (parseHostPort(addr) === null) {
    return `the stage can't dial ${JSON.stringify(addr)}: give host:port as advertise_addr in its configuration`;
  }
  return null;
}

/** One place for each name: nobody else takes it as long as who has it answers. */
export interface NodeNames {
  /** Null where somebody else has the name; else what gives it back. */
  take(id: string, holder: NodeHolder): (() => void) | null;
}

export interface NodeHolder {
  /** Where it calls from. */
  readonly host: string;
  /** Where it listens. */
  readonly addr: string;
}

/** @param isFixed names that nobody takes: those of nodes that the configuration lists */
export function createNodeNames(isFixed: (id: string) => boolean): NodeNames {
  const holders = new Map<string, NodeHolder>();
  return {
    take(id, holder) {
      const other = holders.get(id);
      // The same again: it restarted, or the network did, before its old call was seen to break.
      const isSame = !other || (other.host === holder.host && other.addr === holder.addr);
      if (isFixed(id) || !isSame) return null;
      holders.set(id, holder);
      return () => {
        if (holders.get(id) === holder) holders.delete(id);
      };
    },
  };
}
