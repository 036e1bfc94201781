import type { Connector, Evse, Session, Station } from "../api/types";

/** What /events sends. `data` depends on the type. */
export type LiveEvent = { id: string; type: string; time: string; station: string; data: unknown };

export const eventTypes = [
  "station.pending",
  "station.accepted",
  "station.rejected",
  "station.updated",
  "station.deleted",
  "station.online",
  "station.offline",
  "connector.status",
  "session.started",
  "session.updated",
  "session.ended",
  "session.corrected",
  "message.quarantined",
  "command.finished",
  "remotestart.expired",
  "connector.stuck",
  "connector.unstuck",
  "notice",
  "resync",
] as const;

type ConnectorChange = Pick<Connector, "status" | "detail" | "error" | "since"> & {
  evse: number;
  connector: number;
};

/**
 * The station after an event. Events carry states, not differences, so applying one twice, or one that an answer
 * of the API already contains, changes nothing. Returns the same object when nothing changed.
 */
export function applyToStation(station: Station, event: LiveEvent): Station {
  switch (event.type) {
    case "station.online":
      return { ...station, ...stationFields(event), online: true, lastSeen: event.time };
    case "station.offline":
      return { ...station, ...stationFields(event), online: false, lastSeen: event.time };
    case "station.pending":
      return { ...station, ...stationFields(event), admission: "pending" };
    case "station.accepted":
      return { ...station, ...stationFields(event), admission: "accepted" };
    case "station.rejected":
      return { ...station, ...stationFields(event), admission: "rejected" };
    case "station.updated":
      return { ...station, ...stationFields(event) };
    case "connector.status":
      return seen(applyConnector(station, event.data as ConnectorChange), event);
    case "session.started":
    case "session.updated":
    case "session.ended":
      return seen(applySession(station, event.data as Session), event);
    default:
      return station;
  }
}

/** The station's own fields in an event; its EVSEs never come with one. */
function stationFields(event: LiveEvent): Partial<Station> {
  const data = event.data as Partial<Station> | null;
  if (!data || data.id !== event.station) return {};
  const { evses: _, ...fields } = data;
  return fields;
}

function seen(station: Station, event: LiveEvent): Station {
  if (!station.online || (station.lastSeen !== null && station.lastSeen >= event.time)) return station;
  return { ...station, lastSeen: event.time };
}

function applyConnector(station: Station, change: ConnectorChange): Station {
  const known = station.evses.find((e) => e.id === change.evse);
  const evse: Evse = known ?? { id: change.evse, status: change.status, connectors: [], session: null };
  const old = evse.connectors.find((c) => c.id === change.connector);
  const connector: Connector = {
    id: change.connector,
    type: old?.type ?? "",
    status: change.status,
    detail: change.detail,
    error: change.error,
    since: change.since,
  };
  const connectors = old
    ? evse.connectors.map((c) => (c === old ? connector : c))
    : [...evse.connectors, connector].sort((a, b) => a.id - b.id);
  const next: Evse = { ...evse, connectors, status: evseStatus(connectors) };
  const evses = known
    ? station.evses.map((e) => (e === known ? next : e))
    : [...station.evses, next].sort((a, b) => a.id - b.id);
  return { ...station, evses };
}

/** What most stands in the way of the next driver speaks for the whole EVSE. */
const severity = ["Occupied", "Reserved", "Faulted", "Unavailable", "Unknown", "Available"];

function evseStatus(connectors: Connector[]): string {
  return severity.find((s) => connectors.some((c) => c.status === s)) ?? "Unknown";
}

function applySession(station: Station, session: Session): Station {
  const evse = station.evses.find((e) => e.id === session.evse);
  if (!evse) return station;
  if (session.state === "active") {
    return {
      ...station,
      evses: station.evses.map((e) => (e === evse ? { ...e, session } : e)),
    };
  }
  if (evse.session?.id !== session.id) return station;
  return { ...station, evses: station.evses.map((e) => (e === evse ? { ...e, session: null } : e)) };
}

/** All stations by id, and their order. */
export type Fleet = { ids: string[]; byId: Record<string, Station> };

export function toFleet(stations: Station[]): Fleet {
  const byId: Record<string, Station> = {};
  for (const station of stations) byId[station.id] = station;
  return { ids: Object.keys(byId).sort(byName.compare), byId };
}

const byName = new Intl.Collator("en", { numeric: true });

/** The fleet after a batch of events, copied once; `unknown` says that one spoke of a station not in it. */
export function applyToFleet(fleet: Fleet, events: LiveEvent[]): { fleet: Fleet; unknown: boolean } {
  let byId: Record<string, Station> | undefined;
  let ids = fleet.ids;
  let unknown = false;
  for (const event of events) {
    if (!event.station) continue;
    const station = (byId ?? fleet.byId)[event.station];
    if (!station) {
      if (event.type !== "station.deleted") unknown = true;
      continue;
    }
    byId ??= { ...fleet.byId };
    if (event.type === "station.deleted") {
      delete byId[event.station];
      ids = ids.filter((id) => id !== event.station);
      continue;
    }
    byId[event.station] = applyToStation(station, event);
  }
  return { fleet: byId ? { ids, byId } : fleet, unknown };
}
