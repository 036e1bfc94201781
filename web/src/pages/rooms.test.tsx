import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Bucket } from "../api/types";
import { availability, filled, spanOf, summary } from "../history/buckets";
import { periodText } from "../installation/duration";
import { type Call, FakeEventSource, type Routes, renderAt, station, stubApi } from "../test/api";
import { History } from "./History";
import { Installation } from "./Installation";

vi.mock("../parts/LazyBars", () => ({
  LazyBars: ({ label, bars }: { label: string; bars: { values: (number | null)[] } }) => (
    <div role="img" aria-label={label} data-bars={bars.values.length} />
  ),
}));

const list = (...items: unknown[]) => ({ items, next: null });
const now = new Date("2026-05-04T10:20:00Z");
const minutes = { available: 60, occupied: 20, reserved: 0, unavailable: 0, faulted: 10, offline: 10 };
const bucket = (at: string, over: Partial<Bucket> = {}): Bucket => ({
  at,
  energyWh: 12_500,
  carriedWh: 0,
  sessionsStarted: 3,
  sessionsEnded: 2,
  chargingMinutes: 90,
  peakPowerW: 22_000,
  connectorMinutes: minutes,
  ...over,
});

beforeEach(() => FakeEventSource.install());

describe("a span of history", () => {
  it.each([
    ["hour", 0, "2026-05-02T11:00:00.000Z", "2026-05-04T11:00:00.000Z", 48],
    ["day", 0, "2026-04-04T00:00:00.000Z", "2026-05-05T00:00:00.000Z", 31],
    ["day", 1, "2026-03-04T00:00:00.000Z", "2026-04-04T00:00:00.000Z", 31],
    ["month", 0, "2025-06-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z", 12],
  ] as const)("of %s, %d back, has whole buckets", (resolution, back, from, to, length) => {
    const span = spanOf(resolution, back, now);
    expect(span).toEqual({ from, to, resolution });
    expect(filled([], span)).toHaveLength(length);
  });

  it("keeps what is known and fills what is left out", () => {
    const span = spanOf("day", 0, now);
    const all = filled([bucket("2026-05-04T00:00:00Z")], span);
    expect(all.filter((b) => b.energyWh).map((b) => b.at)).toEqual(["2026-05-04T00:00:00Z"]);
    expect(summary(all, "energy")).toBe("Total 12.50 kWh");
    expect(summary(all, "sessions")).toBe("Total 3");
    expect(summary(all, "charging")).toBe("Total 1.5 h");
    expect(summary(all, "power")).toBe("Highest 22.0 kW");
    expect(summary(all, "availability")).toBe("On average 80.0 %");
  });

  it("does not claim an availability that nobody knows", () => {
    expect(availability({ at: "" })).toBeNull();
    expect(
      availability(
        bucket("", { connectorMinutes: { ...minutes, available: 0, occupied: 0, faulted: 0, offline: 0 } }),
      ),
    ).toBeNull();
    expect(summary([], "availability")).toBe("On average not known yet");
  });
});

const historyAt = (path: string, routes: Routes = {}) => {
  const calls = stubApi({
    "GET /stations": list(station("CS-1"), station("CS-2")),
    "GET /history": ({ query }: Call) => ({
      body: query.get("station") === "CS-2" ? list() : list(bucket(query.get("from") ?? "")),
    }),
    ...routes,
  });
  renderAt(path, [{ path: "/history", element: <History /> }]);
  return calls;
};
const asks = (calls: Call[]) => calls.filter((c) => c.path === "/history").map((c) => c.query);

it("shows every figure of a time as bars and as a table", async () => {
  const calls = historyAt("/history");
  const table = await screen.findByRole("table", { name: "Figures" });
  const cells = within(table).getAllByRole("row")[1]?.textContent;
  for (const text of ["12.50 kWh", "3", "1.5 h", "22.0 kW", "80.0 %"]) expect(cells).toContain(text);
  const bars = screen.getByRole("img", { name: /^Bars of Energy .* Total 12.50 kWh/ });
  expect(bars.getAttribute("data-bars")).toBe("31");
  expect(asks(calls)[0]?.get("resolution")).toBe("day");

  const user = userEvent.setup();
  await user.click(screen.getByRole("radio", { name: "Peak power" }));
  expect(await screen.findByRole("img", { name: /^Bars of Peak power .* Highest 22.0 kW/ })).toBeTruthy();
  await user.click(screen.getByRole("radio", { name: "Hours" }));
  await waitFor(() => expect(asks(calls).at(-1)?.get("resolution")).toBe("hour"));
  const before = asks(calls).at(-1)?.get("from");
  await user.click(screen.getByRole("button", { name: "Earlier" }));
  await waitFor(() => expect(asks(calls).at(-1)?.get("to")).toBe(before));
  await user.click(screen.getByRole("button", { name: "Later" }));
  await waitFor(() => expect(screen.getByRole("button", { name: "Later" })).toHaveProperty("disabled", true));
});

it("shows one station, and says when nothing happened there", async () => {
  const calls = historyAt("/history?station=CS-2");
  expect(await screen.findByText("Nothing happened in this time")).toBeTruthy();
  expect(asks(calls)[0]?.get("station")).toBe("CS-2");
});

it("says why history cannot be read", async () => {
  historyAt("/history", {
    "GET /history": () => ({ status: 503, body: { title: "Database gone", status: 503 } }),
  });
  expect((await screen.findByRole("alert")).textContent).toContain("Database gone");
});

const at = "2026-05-04T10:00:00Z";
const node = {
  id: "n1",
  name: "berlin-1",
  state: "up",
  links: 1500,
  version: "1.2",
  bus: true,
  startedAt: at,
  seenAt: at,
  endedAt: null,
};
const job = {
  name: "roll-up",
  node: "",
  dueAt: at,
  startedAt: at,
  endedAt: "2026-05-04T10:00:01.5Z",
  runs: 12,
  failures: 0,
  error: "",
};
const retention = {
  databaseBytes: 5 * 1024 * 1024,
  freeBytes: 1024,
  next: null,
  items: [
    {
      class: "frames",
      what: "Frames",
      why: "They name persons.",
      period: "720h",
      rows: 9000,
      bytes: null,
      due: null,
      oldest: at,
    },
  ],
};
const installationAt = (role: string, routes: Routes = {}) => {
  const calls = stubApi({
    "GET /auth/me": { user: null, organisation: { id: "o", name: "Org" }, role },
    "GET /nodes": list(
      node,
      { ...node, id: "n2", name: "berlin-2", state: "dead", endedAt: at },
      { ...node, id: "n3", name: "berlin-3", state: "draining" },
    ),
    "GET /jobs": list(
      job,
      { ...job, name: "sweep", node: "n3" },
      { ...job, name: "backup", failures: 3, error: "disk full" },
    ),
    "GET /retention": retention,
    "GET /quarantine": list({
      id: "q1",
      at,
      station: "CS-1",
      action: "TransactionEvent",
      reason: "It could not be processed.",
      payload: '{"a":1}',
    }),
    ...routes,
  });
  renderAt("/installation", [{ path: "/installation", element: <Installation /> }]);
  return calls;
};

it("shows nodes, jobs, retention and quarantine", async () => {
  installationAt("owner");
  const nodes = await screen.findByRole("table", { name: "Nodes" });
  for (const text of ["Live", "Dead", "Draining", "1,500", "reached"])
    expect(nodes.textContent).toContain(text);
  const jobs = await screen.findByRole("table", { name: "Jobs" });
  for (const text of ["Well", "1.5 s", "Runs on berlin-3", "Failed 3 times in a row", "disk full"])
    expect(jobs.textContent).toContain(text);
  const kept = await screen.findByRole("table", { name: "Retention" });
  for (const text of ["Frames", "30 days", "9,000", "They name persons."])
    expect(kept.textContent).toContain(text);
  expect(screen.getByText(/The database has 5.0 MiB/)).toBeTruthy();
  const quarantine = await screen.findByRole("table", { name: "Quarantine" });
  expect(quarantine.textContent).toContain("It could not be processed.");
  expect(within(quarantine).getByRole("link", { name: "CS-1" }).getAttribute("href")).toBe("/stations/CS-1");
});

it("asks for retention only as an owner, and says when nothing is in quarantine", async () => {
  const calls = installationAt("operator", { "GET /quarantine": list() });
  expect(await screen.findByText("Only owners see what is kept for how long.")).toBeTruthy();
  expect(await screen.findByText(/Nothing is in quarantine/)).toBeTruthy();
  expect(calls.some((c) => c.path === "/retention")).toBe(false);
});

it("shows what can be shown when one part fails", async () => {
  installationAt("owner", { "GET /nodes": () => ({ status: 500, body: { title: "Broken", status: 500 } }) });
  expect((await screen.findByRole("alert")).textContent).toContain("Broken");
  expect(await screen.findByRole("table", { name: "Jobs" })).toBeTruthy();
});

it.each([
  ["forever", "for ever"],
  ["24h", "24 hours"],
  ["720h", "30 days"],
  ["720h0m0s", "30 days"],
  ["17520h", "2 years"],
  ["87672h", "10 years"],
  ["9600h", "400 days"],
  ["90m", "90m"],
  ["odd", "odd"],
])("a period of %s is %s", (period, text) => expect(periodText(period)).toBe(text));
