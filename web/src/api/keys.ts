/** The names under which answers are cached. A longer key is part of every shorter one it starts with. */
export const keys = {
  me: ["me"] as const,
  overview: ["overview"] as const,
  stations: ["stations"] as const,
  station: (id: string) => ["station", id] as const,
  variables: (id: string) => ["station-parts", id, "variables"] as const,
  statusHistory: (id: string) => ["station-parts", id, "status-history"] as const,
  links: (id: string) => ["station-parts", id, "links"] as const,
  notices: (id: string) => ["station-parts", id, "notices"] as const,
  commands: (id: string) => ["station-parts", id, "commands"] as const,
  tokens: ["tokens"] as const,
  sessions: ["sessions"] as const,
  sessionsOf: (filter: { station?: string; state?: string }) => ["sessions", filter] as const,
  session: (id: string) => ["session", id] as const,
  meterValues: (id: string) => ["session-parts", id, "meter-values"] as const,
  sessionFrames: (id: string) => ["session-parts", id, "frames"] as const,
  livePower: (id: string) => ["live-power", id] as const,
};
