import type { Connector, Evse, Station } from "./api/types";
import { t } from "./texts";

/** The tone of a state: a colour, a sign and always the state's own word beside them. */
export type Tone = "good" | "work" | "busy" | "held" | "bad" | "off";

const tones: Record<string, Tone> = {
  Available: "good",
  Charging: "work",
  Preparing: "busy",
  SuspendedEV: "busy",
  SuspendedEVSE: "busy",
  Finishing: "busy",
  Occupied: "busy",
  Reserved: "held",
  Unavailable: "off",
  Faulted: "bad",
  Unknown: "off",
};

export function toneOf(state: string): Tone {
  return tones[state] ?? "off";
}

/**
 * The most telling word for a connector: what the running session says of an occupied one, else the detail that a
 * 1.6 station gave, else the status.
 */
export function connectorState(connector: Connector, evse: Evse): string {
  if (connector.status !== "Occupied") return connector.status || "Unknown";
  const session = evse.session;
  if (
    session &&
    session.chargingState in tones &&
    evse.connectors.filter((c) => c.status === "Occupied").length === 1
  ) {
    return session.chargingState;
  }
  return connector.detail || connector.status;
}

/** Which filters of the fleet a station passes: its connectors' states, and whether it is connected. */
export function statesOf(station: Station): Set<string> {
  const states = new Set<string>();
  if (!station.online) states.add("Offline");
  for (const evse of station.evses) {
    for (const connector of evse.connectors) {
      const state = connectorState(connector, evse);
      states.add(state);
      if (connector.status === "Occupied") states.add("Occupied");
    }
  }
  return states;
}

/** A connector's type in the words of its users; an unknown one as the station named it. */
export function typeName(type: string): string {
  return t.connectorType[type] ?? (type === "Unknown" || type === "Undetermined" ? "" : type);
}

export type FleetFilter = { search: string; state: string; version: string };

export function matches(station: Station, filter: FleetFilter): boolean {
  if (filter.version && station.protocol !== filter.version) return false;
  if (filter.state && !statesOf(station).has(filter.state)) return false;
  if (!filter.search) return true;
  const wanted = filter.search.toLowerCase();
  return [
    station.id,
    station.vendor,
    station.model,
    station.serialNumber,
    `${station.vendor} ${station.model}`,
  ].some((text) => text?.toLowerCase().includes(wanted));
}
