import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it } from "vitest";
import type { Overview } from "../api/types";
import { Shell } from "../shell/Shell";
import { CommandsTab } from "../station/CommandsTab";
import { FakeEventSource, pushEvent, type Routes, renderAt, session, station, stubApi } from "../test/api";
import { Fleet } from "./Fleet";
import { SignIn } from "./SignIn";

const overview: Overview = {
  stations: { total: 2, online: 2, pending: 0 },
  connectors: { available: 2, occupied: 0, charging: 0, reserved: 0, unavailable: 0, faulted: 0, unknown: 0 },
  sessions: { active: 0, today: 0 },
  energyTodayWh: 0,
  powerW: 0,
};
const me = {
  user: { email: "a@example.org", name: "Anna" },
  organisation: { id: "o", name: "Org" },
  role: "owner",
};

const list = (...items: unknown[]) => ({ items, next: null });
const api = (over: Routes = {}): Routes => ({
  "GET /auth/me": me,
  "GET /overview": overview,
  "GET /stations": list(station("CS-1"), station("CS-2", { protocol: "2.1", vendor: "Volta" })),
  "GET /tokens": list({ id: "t", uid: "AB12", type: "eMAID", status: "active", createdAt: "" }),
  ...over,
});
const pages = [
  { path: "/sign-in", element: <SignIn /> },
  { path: "/", element: <Shell />, children: [{ index: true as const, element: <Fleet /> }] },
];
const row = async (id: string) => {
  const link = await screen.findByRole("link", { name: id });
  const found = link.closest<HTMLElement>("[role=row]");
  if (!found) throw new Error(`${id} is in no row`);
  return found;
};

beforeEach(() => FakeEventSource.install());

it("leads to the sign-in and back to where one was going", async () => {
  let signedIn = false;
  const calls = stubApi(
    api({
      "GET /auth/me": () =>
        signedIn ? { body: me } : { status: 401, body: { title: "Unauthorized", status: 401 } },
      "POST /auth/sign-in": ({ body }: { body: unknown }) => {
        signedIn = (body as { password: string }).password === "right";
        return signedIn ? { body: me } : { status: 401, body: { title: "Unauthorized", status: 401 } };
      },
    }),
  );
  const { router } = renderAt("/?q=CS", pages);
  const user = userEvent.setup();
  await user.type(await screen.findByLabelText("Email"), "a@example.org");
  await user.type(screen.getByLabelText("Password"), "wrong");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  expect((await screen.findByRole("alert")).textContent).toContain("wrong");
  await user.clear(screen.getByLabelText("Password"));
  await user.type(screen.getByLabelText("Password"), "right");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  await row("CS-1");
  expect(router.state.location.search).toBe("?q=CS");
  expect(calls.find((c) => c.method === "POST")?.headers.get("X-Lumela-Console")).toBe("1");
});

it("follows connectors and sessions live, without asking again", async () => {
  const calls = stubApi(api());
  renderAt("/", pages);
  const cs1 = await row("CS-1");
  expect(within(cs1).getByText("Available")).toBeTruthy();
  const before = calls.filter((c) => c.path === "/stations").length;

  await pushEvent("connector.status", "CS-1", {
    evse: 1,
    connector: 1,
    status: "Occupied",
    detail: "Preparing",
    error: null,
    since: null,
  });
  await pushEvent("session.started", "CS-1", session("s1", { powerW: 7400, energyWh: 1500 }));
  const charging = await row("CS-1");
  expect(within(charging).getByText("Charging")).toBeTruthy();
  expect(within(charging).getByText("7.4 kW")).toBeTruthy();
  expect(within(charging).getByText("1.50 kWh")).toBeTruthy();
  expect(within(charging).getByRole("button", { name: "Stop charging at CS-1, EVSE 1" })).toBeTruthy();

  await pushEvent("session.updated", "CS-1", session("s1", { powerW: 11000, energyWh: 1600 }));
  expect(within(await row("CS-1")).getByText("11.0 kW")).toBeTruthy();
  expect(calls.filter((c) => c.path === "/stations").length).toBe(before);
});

it("asks for everything again after a resync", async () => {
  const calls = stubApi(api());
  renderAt("/", pages);
  await row("CS-1");
  const before = calls.filter((c) => c.path === "/stations").length;
  await pushEvent("resync", "", null);
  await waitFor(() => expect(calls.filter((c) => c.path === "/stations").length).toBe(before + 1));
});

it("reads every page of a long list", async () => {
  stubApi(
    api({
      "GET /stations": ({ query }: { query: URLSearchParams }) => ({
        body: query.get("cursor") ? list(station("CS-2")) : { items: [station("CS-1")], next: "more" },
      }),
    }),
  );
  renderAt("/", pages);
  await row("CS-2");
  await row("CS-1");
});

it("searches, filters, and can be cleared", async () => {
  stubApi(api());
  renderAt("/", pages);
  await row("CS-1");
  const user = userEvent.setup();
  await user.type(screen.getByRole("searchbox"), "volta");
  await waitFor(() => expect(screen.queryByRole("link", { name: "CS-1" })).toBeNull());
  await row("CS-2");
  await user.click(screen.getByRole("radio", { name: "1.6" }));
  await user.click(await screen.findByRole("button", { name: "Clear search and filters" }));
  await row("CS-1");
});

it("lets a waiting station in", async () => {
  let admission: "pending" | "accepted" = "pending";
  const calls = stubApi(
    api({
      "GET /stations": () => ({ body: list(station("NEW", { admission })) }),
      "POST /stations/NEW/accept": () => {
        admission = "accepted";
        return { body: station("NEW", { admission }) };
      },
    }),
  );
  renderAt("/", pages);
  await userEvent.setup().click(await screen.findByRole("button", { name: "Accept NEW" }));
  await row("NEW");
  await waitFor(() => expect(screen.queryByRole("button", { name: "Accept NEW" })).toBeNull());
  expect(calls.some((c) => c.method === "POST" && c.path === "/stations/NEW/accept")).toBe(true);
});

it("starts charging with a known token and its type, and tells a refusal", async () => {
  let status = "Rejected";
  const calls = stubApi(
    api({
      "POST /stations/CS-1/commands/RequestStartTransaction": () => ({
        body: {
          id: "c",
          status: "ok",
          response: { status, statusInfo: { reasonCode: "InvalidIdToken" } },
          translation: [],
        },
      }),
    }),
  );
  renderAt("/", pages);
  const user = userEvent.setup();
  await user.click(within(await row("CS-1")).getByRole("button", { name: /Start charging/ }));
  const dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("button", { name: "Start charging" }));
  expect(within(dialog).getByText("A token is needed.")).toBeTruthy();
  await user.type(within(dialog).getByRole("combobox", { name: "Token" }), "AB12");
  await user.click(within(dialog).getByRole("button", { name: "Start charging" }));
  expect((await within(dialog).findByRole("alert")).textContent).toContain("InvalidIdToken");
  status = "Accepted";
  await user.click(within(dialog).getByRole("button", { name: "Start charging" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  const sent = calls.findLast((c) => c.method === "POST");
  expect(sent?.query.get("wait")).toBe("10s");
  expect(sent?.body).toMatchObject({ evseId: 1, idToken: { idToken: "AB12", type: "eMAID" } });
  expect(sent?.body).toHaveProperty("remoteStartId", expect.any(Number));
});

it("stops a session only after a second click", async () => {
  const running = station("CS-1");
  const evse = running.evses[0];
  if (evse) evse.session = session("s1");
  const calls = stubApi(
    api({
      "GET /stations": list(running),
      "POST /sessions/s1/stop": { id: "c", status: "ok", response: { status: "Accepted" }, translation: [] },
    }),
  );
  renderAt("/", pages);
  const user = userEvent.setup();
  await user.click(within(await row("CS-1")).getByRole("button", { name: /Stop charging at/ }));
  expect(calls.some((c) => c.method === "POST")).toBe(false);
  await user.click(await screen.findByRole("button", { name: "Stop charging" }));
  await waitFor(() => expect(calls.some((c) => c.path === "/sessions/s1/stop")).toBe(true));
});

it("shows what the server said when it cannot list", async () => {
  stubApi(
    api({
      "GET /stations": () => ({
        status: 500,
        body: { title: "Database is away", status: 500, detail: "Try later." },
      }),
    }),
  );
  renderAt("/", pages);
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("Database is away");
  expect(alert.textContent).toContain("Try later.");
});

it("shows every refused field of a free command", async () => {
  stubApi(
    api({
      "GET /stations/CS-1/commands": list(),
      "POST /stations/CS-1/commands/GetVariables": () => ({
        status: 422,
        body: {
          title: "Payload invalid",
          status: 422,
          errors: [{ location: "getVariableData[0].variable", message: "is required" }],
        },
      }),
    }),
  );
  renderAt("/", [{ path: "/", element: <CommandsTab station="CS-1" /> }]);
  const user = userEvent.setup();
  const editor = await screen.findByLabelText<HTMLTextAreaElement>(/payload/);
  await user.clear(editor);
  await user.type(editor, "{{");
  expect(screen.getByText(/not JSON/)).toBeTruthy();
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Send" }).disabled).toBe(true);
  await user.type(editor, "}");
  await user.click(screen.getByRole("button", { name: "Send" }));
  expect((await screen.findByRole("alert")).textContent).toContain("getVariableData[0].variable is required");
});
