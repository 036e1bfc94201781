import type { QueryClient } from "@tanstack/react-query";
import { keys } from "../api/keys";
import type { Session, Station } from "../api/types";
import { applyToFleet, applyToStation, type Fleet, type LiveEvent } from "./events";
import { Soon } from "./soon";

/** One reading of a running session's power, for its live chart. */
export type PowerPoint = { at: string; powerW: number; energyWh: number; soc: number | null };

/** How many live points a chart keeps beside the stored meter values. */
const livePoints = 2000;

/**
 * Brings batches of events into the query cache. What an event carries is written straight into the cached answers;
 * what it only hints at (figures, lists) is fetched again soon, at most once in two seconds.
 */
export class CacheWriter {
  private readonly client: QueryClient;
  private readonly soon: Soon;

  constructor(client: QueryClient, delayMs = 2000) {
    this.client = client;
    this.soon = new Soon(delayMs, (key) => void client.invalidateQueries({ queryKey: key }));
  }

  write(events: LiveEvent[]): void {
    if (events.some((e) => e.type === "resync")) {
      void this.client.invalidateQueries();
      return;
    }
    this.writeFleet(events);
    for (const event of events) this.writeOne(event);
  }

  stop(): void {
    this.soon.stop();
  }

  private writeFleet(events: LiveEvent[]): void {
    const fleet = this.client.getQueryData<Fleet>(keys.stations);
    if (!fleet) return;
    const result = applyToFleet(fleet, events);
    if (result.fleet !== fleet) this.client.setQueryData(keys.stations, result.fleet);
    if (result.unknown) this.soon.ask(keys.stations);
  }

  private writeOne(event: LiveEvent): void {
    if (event.station) {
      this.client.setQueryData<Station>(
        keys.station(event.station),
        (old) => old && applyToStation(old, event),
      );
    }
    const [family] = event.type.split(".");
    if (family === "station" || family === "connector" || family === "session") this.soon.ask(keys.overview);
    switch (event.type) {
      case "connector.status":
        this.soon.ask(keys.statusHistory(event.station));
        break;
      case "station.online":
      case "station.offline":
        this.soon.ask(keys.links(event.station));
        break;
      case "session.started":
      case "session.updated":
      case "session.ended":
        this.writeSession(event, event.data as Session);
        break;
      case "session.corrected":
        this.writeCorrection(event);
        break;
      case "message.quarantined":
        this.soon.ask(keys.quarantine);
        break;
      case "connector.stuck":
      case "connector.unstuck":
        this.soon.ask(keys.casesOf(event.station));
        break;
      case "remotestart.expired":
      case "command.finished":
        this.soon.ask(keys.commands(event.station));
        this.soon.ask(keys.variables(event.station));
        this.soon.ask(keys.timelines);
        break;
      case "notice":
        this.soon.ask(keys.notices(event.station));
        break;
    }
  }

  /** An ended session is not what it was taken for: it may leave one list of sessions and enter another. */
  private writeCorrection(event: LiveEvent): void {
    const { changed: _, ...session } = event.data as Session & { changed: unknown };
    this.client.setQueryData<Session>(keys.session(session.id), (old) => old && session);
    this.soon.ask(keys.sessions);
    this.soon.ask(keys.timeline(session.id));
    this.soon.ask(keys.meterValues(session.id));
    this.soon.ask(keys.sessionFrames(session.id));
  }

  private writeSession(event: LiveEvent, session: Session): void {
    this.client.setQueryData<Session>(keys.session(session.id), (old) => old && session);
    this.client.setQueryData<PowerPoint[]>(keys.livePower(session.id), (old) => {
      if (!old) return old;
      const point = { at: event.time, powerW: session.powerW, energyWh: session.energyWh, soc: session.soc };
      return [...old.slice(-livePoints), point];
    });
    this.soon.ask(keys.sessionFrames(session.id));
    this.soon.ask(keys.timeline(session.id));
    if (event.type === "session.ended") this.soon.ask(keys.meterValues(session.id));
    if (event.type !== "session.updated") {
      this.soon.ask(keys.sessions);
      return;
    }
    this.client.setQueriesData<{ pages: { items: Session[] }[] }>({ queryKey: keys.sessions }, (old) =>
      replaceSession(old, session),
    );
  }
}

/** Replaces a session in the pages of a list, keeping every page that does not hold it. */
function replaceSession<T extends { pages: { items: Session[] }[] }>(
  list: T | undefined,
  session: Session,
): T | undefined {
  if (!list?.pages) return list;
  let changed = false;
  const pages = list.pages.map((page) => {
    const at = page.items.findIndex((s) => s.id === session.id);
    if (at < 0) return page;
    changed = true;
    return { ...page, items: page.items.with(at, session) };
  });
  return changed ? { ...list, pages } : list;
}
