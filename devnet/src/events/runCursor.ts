import { placeOf, placeStart, type RunEvents } from "./runEvents.ts";

/**
 * How far a listener has come, as the text of an event's id: the highest id that it knows; then, of each lower place
 * from which events may still come, the last one that it knows there. Without tasks side by side it is one number.
 */
export interface RunCursor {
  knows(id: number): boolean;
  /** Notes that an event is told, and gives the text of its id. `now` is all there is. */
  tell(id: number, now: RunEvents): string;
}

const FORM = /^\d{1,10}(,\d{1,10}){0,1000}$/;

/** From the `Last-Event-ID` of a listener; what can't be read counts as none. */
export function createRunCursor(lastEventId: string | undefined): RunCursor {
  const ids = FORM.test(lastEventId ?? "") ? (lastEventId as string).split(",").map(Number) : [];
  const [knownTo = 0, ...lasts] = ids;
  const lastOf = new Map(lasts.map((id) => [placeOf(id), id]));
  const told = new Set<number>();
  let highest = knownTo;
  const knows = (id: number): boolean =>
    told.has(id) || (id <= knownTo && id <= (lastOf.get(placeOf(id)) ?? id));

  return {
    knows,
    tell(id, { events, open }) {
      told.add(id);
      highest = Math.max(highest, id);
      const isLower = (place: number) => place < placeOf(highest);
      const untold = events.filter((event) => !knows(event.id)).map((event) => placeOf(event.id));
      const lacking = new Map(
        [...open, ...untold].filter(isLower).map((place) => [place, placeStart(place)]),
      );
      for (const event of events) {
        const place = placeOf(event.id);
        if (lacking.has(place) && knows(event.id)) lacking.set(place, event.id);
      }
      return [highest, ...[...lacking.values()].sort((a, b) => a - b)].join();
    },
  };
}
