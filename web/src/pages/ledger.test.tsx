import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import type { Entry, Flag, Session } from "../api/types";
import { energySource } from "../session/Facts";
import { Shell } from "../shell/Shell";
import { CommandsTab } from "../station/CommandsTab";
import {
  type Call,
  FakeEventSource,
  pushEvent,
  type Routes,
  renderAt,
  session,
  station,
  stubApi,
} from "../test/api";
import { SessionPage } from "./Session";
import { Sessions } from "./Sessions";
import { StationPage } from "./Station";

const list = (...items: unknown[]) => ({ items, next: null });
const at = "2026-05-04T10:00:00Z";
const flag = (code: string, over: Partial<Flag> = {}): Flag => ({
  code,
  text: `It is about ${code}.`,
  at,
  holds: true,
  ...over,
});
const ended = (over: Partial<Session> = {}) =>
  session("s1", { state: "ended", endedAt: "2026-05-04T11:00:00Z", billing: "ready", ...over });
const entry = (id: string, over: Partial<Entry> = {}): Entry => ({
  id,
  at,
  type: "act",
  kind: "end-assumed",
  text: `Entry ${id}`,
  who: "guardian",
  ...over,
});

const me = {
  user: { email: "a@example.org", name: "Anna" },
  organisation: { id: "o", name: "Org" },
  role: "owner",
};
const open = (path: string, routes: Routes) => {
  const calls = stubApi({
    "GET /auth/me": me,
    "GET /sessions": list(),
    "GET /sessions/s1/timeline": list(),
    "GET /sessions/s1/frames": list(),
    "GET /sessions/s1/meter-values": list(),
    "GET /stations/CS-1/frames": list(),
    "GET /stations/CS-1/commands": list(),
    "GET /guardian/cases": list(),
    ...routes,
  });
  renderAt(path, [
    {
      path: "/",
      element: <Shell />,
      children: [
        { path: "sessions", element: <Sessions /> },
        { path: "sessions/:id", element: <SessionPage /> },
        { path: "stations/:id", element: <StationPage /> },
      ],
    },
  ]);
  return calls;
};
const posts = (calls: Call[]) => calls.filter((c) => c.method === "POST").map((c) => [c.path, c.body]);
const banner = async (billing: string) =>
  waitFor(() => {
    const found = document.querySelector<HTMLElement>(`section[data-billing="${billing}"]`);
    if (!found) throw new Error(`no banner says ${billing}`);
    return found;
  });

beforeEach(() => {
  FakeEventSource.install();
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
});

it("releases the chosen flags of a held session, with a reason", async () => {
  const flags = [flag("token-refused"), flag("meter-zero"), flag("meter-restarted", { holds: false })];
  const resolved = { resolvedAt: at, resolvedBy: "Anna", resolution: "the driver paid in cash" };
  const calls = open("/sessions/s1", {
    "GET /sessions/s1": ended({ billing: "held", flags }),
    "POST /sessions/s1/release": ({ body }: Call) => {
      const { flags: codes } = body as { flags: string[] };
      const after = flags.map((f) => (codes.includes(f.code) ? { ...f, ...resolved } : f));
      return { body: ended({ billing: codes.length === 2 ? "ready" : "held", flags: after }) };
    },
  });
  const user = userEvent.setup();
  const held = await banner("held");
  expect(within(held).getByText(/^2 things about this session/)).toBeTruthy();
  expect(within(held).getByText("It is about meter-restarted.")).toBeTruthy();
  expect(within(held).getAllByText("Holds billing")).toHaveLength(2);

  await user.click(within(held).getByRole("button", { name: "Release…" }));
  const dialog = await screen.findByRole("dialog");
  expect(within(dialog).getAllByRole("checkbox")).toHaveLength(2);
  await user.click(within(dialog).getByRole("button", { name: "Release for billing" }));
  expect(within(dialog).getByText("A reason is needed.")).toBeTruthy();
  expect(posts(calls)).toEqual([]);
  await user.click(within(dialog).getByRole("checkbox", { name: /Meter stands at zero/ }));
  await user.type(within(dialog).getByRole("textbox"), "  the driver paid in cash ");
  await user.click(within(dialog).getByRole("button", { name: "Release for billing" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(posts(calls)).toEqual([
    ["/sessions/s1/release", { reason: "the driver paid in cash", flags: ["token-refused"] }],
  ]);
  expect(await screen.findByText("Released; other flags still hold the session")).toBeTruthy();
  expect(within(await banner("held")).getByText("the driver paid in cash")).toBeTruthy();
});

it("says why a release was refused and keeps what was typed", async () => {
  open("/sessions/s1", {
    "GET /sessions/s1": ended({ billing: "held", flags: [flag("conflict")] }),
    "POST /sessions/s1/release": () => ({
      status: 403,
      body: { title: "Forbidden", status: 403, detail: "viewers only look" },
    }),
  });
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "Release…" }));
  const dialog = await screen.findByRole("dialog");
  await user.type(within(dialog).getByRole("textbox"), "why");
  await user.click(within(dialog).getByRole("button", { name: "Release for billing" }));
  expect((await within(dialog).findByRole("alert")).textContent).toContain("viewers only look");
  expect((within(dialog).getByRole("textbox") as HTMLTextAreaElement).value).toBe("why");
});

it("becomes ready by itself when the ledger explains the flag elsewhere", async () => {
  open("/sessions/s1", { "GET /sessions/s1": ended({ billing: "held", flags: [flag("sequence-gap")] }) });
  await banner("held");
  const explained = flag("sequence-gap", { resolvedAt: at, resolvedBy: "ledger", resolution: "they came" });
  await pushEvent("session.corrected", "CS-1", {
    ...ended({ billing: "ready", flags: [explained] }),
    changed: [{ field: "billing", before: "held", after: "ready" }],
  });
  const ready = await banner("ready");
  expect(ready.textContent).toContain("the ledger: later messages explained it");
  expect(screen.queryByRole("button", { name: "Release…" })).toBeNull();
});

it("closes a running session by hand, by force where it must be", async () => {
  const calls = open("/sessions/s1", {
    "GET /sessions/s1": session("s1"),
    "POST /sessions/s1/close": ({ body }: Call) =>
      (body as { force: boolean }).force
        ? { body: ended({ billing: "held", flags: [flag("end-unknown")] }) }
        : { status: 409, body: { title: "Conflict", status: 409, detail: "the station is connected" } },
  });
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "Close by hand…" }));
  const dialog = await screen.findByRole("dialog");
  await user.type(within(dialog).getByRole("textbox"), "station scrapped");
  await user.click(within(dialog).getByRole("button", { name: "Close the session" }));
  expect((await within(dialog).findByRole("alert")).textContent).toContain("the station is connected");
  await user.click(within(dialog).getByRole("checkbox"));
  await user.click(within(dialog).getByRole("button", { name: "Close the session" }));
  await banner("held");
  expect(posts(calls).at(-1)).toEqual(["/sessions/s1/close", { reason: "station scrapped", force: true }]);
});

it("tells a session's story page by page, with both clocks where they differ", async () => {
  const message = {
    trigger: "CablePluggedIn",
    seqNo: 3,
    offline: true,
    chargingState: "",
    registerWh: 1_000_500,
  };
  open("/sessions/s1", {
    "GET /sessions/s1": ended(),
    "GET /sessions/s1/timeline": ({ query }: Call) =>
      query.get("cursor")
        ? { body: list(entry("later", { data: { before: 1 } })) }
        : {
            body: {
              items: [
                entry("first", {
                  type: "message",
                  kind: "Started",
                  who: "CS-1",
                  stationTime: "1970-01-01T00:10:00Z",
                  message,
                }),
                entry("odd", { type: "flag", kind: "clock-unset", who: "ledger" }),
              ],
              next: "more",
            },
          },
  });
  const story = await screen.findByRole("list", { name: "Timeline of this session" });
  expect(within(story).getAllByRole("listitem")).toHaveLength(2);
  const first = within(story).getByText("Entry first").closest("li");
  for (const text of ["Message: Started", "1970", "no. 3", "CablePluggedIn", "memory"])
    expect(first?.textContent).toContain(text);
  expect(within(story).getByText("Flag: Clock was not set, by the ledger")).toBeTruthy();
  await userEvent.setup().click(screen.getByRole("button", { name: "Show later entries" }));
  expect(await within(story).findByText("Entry later")).toBeTruthy();
  expect(within(story).getByText("Act: end-assumed, by the guardian")).toBeTruthy();
});

it("shows corrected times with what the station's clock said", async () => {
  open("/sessions/s1", {
    "GET /sessions/s1": ended({
      startedAt: "1970-01-01T00:00:10Z",
      endedAt: "1970-01-01T01:00:10Z",
      startedAtCorrected: "2026-05-04T10:00:00Z",
      endedAtCorrected: "2026-05-04T11:00:00Z",
      clockOffsetSeconds: -1_777_888_800,
    }),
  });
  expect(await screen.findAllByText("the station's clock said", { exact: false })).toHaveLength(2);
  expect(screen.getByText("1:00:00")).toBeTruthy();
  expect(screen.getByText(/behind$/)).toBeTruthy();
});

it.each([
  [{ meterStartWh: null, meterStopWh: null }, /no reading/],
  [{ meterStartWh: 1000, meterStopWh: null }, /was at 1\.000 kWh/],
  [{ meterStartWh: 1000, meterStopWh: 2501, energyWh: 1500 }, /register: 1\.000 kWh to 2\.501 kWh/],
  [{ meterStartWh: 9000, meterStopWh: 500, energyWh: 1500 }, /sum of what/],
])("energy of %o comes from somewhere", (over, text) =>
  expect(energySource(ended(over as Partial<Session>))).toMatch(text),
);

it("filters sessions by state, billing and flag, and counts those that need a hand", async () => {
  const calls = open("/sessions", {
    "GET /sessions": ({ query }: Call) => ({
      body:
        query.get("billing") === "held"
          ? list(ended({ billing: "held", flags: [flag("conflict")] }), ended({ id: "s2" }))
          : query.get("flag")
            ? list()
            : list(ended()),
    }),
  });
  const user = userEvent.setup();
  expect(await screen.findByText("2 sessions are held back from billing")).toBeTruthy();
  await user.click(screen.getByRole("link", { name: "Show them" }));
  expect(await screen.findByText("Held · 1 flag")).toBeTruthy();
  expect(screen.queryByText("2 sessions are held back from billing")).toBeNull();
  await user.click(screen.getByRole("radio", { name: "Ended" }));
  await waitFor(() => {
    const last = calls.filter((c) => c.path === "/sessions").at(-1)?.query;
    expect([last?.get("billing"), last?.get("state")]).toEqual(["held", "ended"]);
  });
});

it("leads out of a filter that matches nothing", async () => {
  open("/sessions?flag=meter-zero", {
    "GET /sessions": ({ query }: Call) => ({ body: query.get("flag") ? list() : list(session("s1")) }),
  });
  await userEvent.setup().click(await screen.findByRole("button", { name: "Clear filters" }));
  expect(await screen.findByRole("link", { name: "Open session 17" })).toBeTruthy();
});

it("says why a station is blocked, and lets it in again", async () => {
  const blocked = { reason: "Too many wrong passwords.", until: "2026-05-04T12:00:00Z" };
  const calls = open("/stations/CS-1", {
    "GET /stations/CS-1": station("CS-1", { blocked }),
    "POST /stations/CS-1/unblock": station("CS-1"),
  });
  const notice = (await screen.findByText("This station is not let in")).closest("section");
  expect(notice?.textContent).toContain("Too many wrong passwords.");
  await userEvent.setup().click(screen.getByRole("button", { name: "Unblock" }));
  await waitFor(() => expect(screen.queryByText("This station is not let in")).toBeNull());
  expect(posts(calls)).toEqual([["/stations/CS-1/unblock", undefined]]);
});

it("lists the guardian's cases of a station", async () => {
  const one = {
    id: "c1",
    kind: "stuck",
    station: "CS-1",
    evse: 1,
    connector: 2,
    session: "",
    subject: "Occupied for two days without a session.",
    outcome: "asked the station for its state",
    tries: 2,
    openedAt: at,
    closedAt: null,
  };
  const calls = open("/stations/CS-1?tab=guardian", {
    "GET /stations/CS-1": station("CS-1"),
    "GET /guardian/cases": list(one, { ...one, id: "c2", kind: "no-stop", session: "s1", closedAt: at }),
  });
  expect(await screen.findByText("Stuck connector")).toBeTruthy();
  expect(screen.getAllByText("asked 2 times to no avail")).toHaveLength(2);
  expect(screen.getByRole("link", { name: "Open session" }).getAttribute("href")).toBe("/sessions/s1");
  expect(calls.find((c) => c.path === "/guardian/cases")?.query.get("station")).toBe("CS-1");
});

it("tells what came of an accepted remote start", async () => {
  stubApi({
    "GET /stations/CS-1/commands": list({
      id: "c1",
      station: "CS-1",
      action: "RequestStartTransaction",
      status: "ok",
      by: "Anna",
      createdAt: at,
      finishedAt: at,
      translation: [],
      outcome: { at, state: "expired", session: "s9", text: "nobody plugged in" },
    }),
  });
  renderAt("/", [{ path: "/", element: <CommandsTab station="CS-1" /> }]);
  expect(await screen.findByText(/No session began in time/)).toBeTruthy();
  expect(screen.getByRole("link", { name: "Open session" }).getAttribute("href")).toBe("/sessions/s9");
});
