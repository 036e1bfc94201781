import type { components } from "./schema";

type Schemas = components["schemas"];

// What the API leaves null, its description does not always say: said here, once, for the whole console.
export type RunningSession = Schemas["StationRunningSession"];
export type Connector = Omit<Schemas["StationConnectorView"], "error" | "since"> & {
  error: Schemas["StationConnectorError"] | null;
  since: string | null;
};
export type Evse = Omit<Schemas["StationEVSEView"], "session" | "connectors"> & {
  connectors: Connector[];
  session: RunningSession | null;
};
export type Block = Schemas["StationBlockView"];
export type Station = Omit<Schemas["StationView"], "evses" | "blocked"> & {
  evses: Evse[];
  blocked: Block | null;
};

export type Me = Schemas["AccountMe"];
export type Overview = Schemas["OverviewView"];
export type Session = Schemas["SessionView"];
export type Flag = Schemas["SessionFlag"];
export type Entry = Schemas["SessionEntry"];
export type Case = Schemas["GuardianView"];
export type Bucket = Schemas["HistoryBucket"];
export type Node = Schemas["ClusterNode"];
export type Job = Schemas["JobState"];
export type Retention = Schemas["RetentionView"];
export type Quarantined = Schemas["SessionQuarantined"];
export type MeterValue = Schemas["SessionMeterView"];
export type Variable = Schemas["StationVariable"];
export type StatusChange = Schemas["StationStatusChange"];
export type Link = Schemas["StationLinkChange"];
export type Notice = Schemas["StationNoticeView"];
export type Frame = Schemas["Frame"];
export type Note = Schemas["TranslateNote"];
export type Command = Schemas["CommandView"];
export type CommandResult = Schemas["CommandOutputBody"];
export type Token = Schemas["IdtokenToken"];

/** A station as the API describes it, with what its description leaves open made definite. */
export function asStation(view: Schemas["StationView"]): Station {
  return { ...view, evses: (view.evses ?? []) as Evse[], blocked: view.blocked ?? null };
}
