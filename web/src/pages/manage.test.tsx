import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it } from "vitest";
import type { Token } from "../api/types";
import ConnectDialog from "../fleet/ConnectDialog";
import { StationMenu } from "../station/StationMenu";
import { type Call, FakeEventSource, type Routes, renderAt, station, stubApi } from "../test/api";
import { Tokens } from "./Tokens";

const list = (...items: unknown[]) => ({ items, next: null });
const token = (uid: string, over: Partial<Token> = {}): Token => ({
  id: `id-${uid}`,
  uid,
  type: "ISO14443",
  status: "active",
  group: "",
  validUntil: null,
  note: "",
  createdAt: "2026-05-04T10:00:00Z",
  ...over,
});
const tokensAt = (routes: Routes, path = "/tokens") => {
  const calls = stubApi(routes);
  renderAt(path, [{ path: "/tokens", element: <Tokens /> }]);
  return calls;
};
const row = async (uid: string) => {
  const found = (await screen.findByText(uid)).closest<HTMLElement>("[role=row]");
  if (!found) throw new Error(`${uid} is in no row`);
  return found;
};
const sent = (calls: Call[], method: string) => calls.filter((c) => c.method === method);

beforeEach(() => FakeEventSource.install());

it("explains tokens where there are none", async () => {
  tokensAt({ "GET /tokens": list() });
  expect(await screen.findByText("No tokens yet")).toBeTruthy();
  expect(screen.getByText(/RFID card, an app or a contract/)).toBeTruthy();
});

it("reads every page of tokens and finds them by what they say", async () => {
  tokensAt({
    "GET /tokens": ({ query }: { query: URLSearchParams }) => ({
      body: query.get("cursor")
        ? list(token("CARD2", { note: "Pool car" }))
        : { items: [token("CARD1")], next: "x" },
    }),
  });
  await row("CARD1");
  await row("CARD2");
  const user = userEvent.setup();
  await user.type(screen.getByRole("searchbox"), "pool");
  await waitFor(() => expect(screen.queryByText("CARD1")).toBeNull());
  await row("CARD2");
  expect(screen.getByRole("status").textContent).toBe("1 of 2 tokens");
  await user.type(screen.getByRole("searchbox"), "xyz");
  await user.click(await screen.findByRole("button", { name: "Clear search" }));
  await row("CARD1");
});

it("adds a token, and keeps what was typed when it is refused", async () => {
  const known: Token[] = [];
  let taken = true;
  const calls = tokensAt({
    "GET /tokens": () => ({ body: list(...known) }),
    "POST /tokens": ({ body }: { body: unknown }) => {
      if (taken)
        return { status: 409, body: { title: "Conflict", status: 409, detail: "This uid is taken." } };
      const made = token("AB12", body as Partial<Token>);
      known.push(made);
      return { status: 201, body: made };
    },
  });
  const user = userEvent.setup();
  await user.click(screen.getByRole("button", { name: "Add a token" }));
  const dialog = await screen.findByRole("dialog");
  const submit = within(dialog).getByRole("button", { name: "Add token" });
  await user.click(submit);
  expect(within(dialog).getByText("A uid is needed.")).toBeTruthy();
  expect(sent(calls, "POST")).toEqual([]);
  await user.type(within(dialog).getByLabelText("Uid"), " AB12 ");
  await user.type(within(dialog).getByLabelText("Group"), "G1");
  await user.click(submit);
  expect((await within(dialog).findByRole("alert")).textContent).toContain("This uid is taken.");
  taken = false;
  await user.click(submit);
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  await row("AB12");
  expect(sent(calls, "POST").at(-1)?.body).toEqual({ uid: "AB12", type: "ISO14443", group: "G1", note: "" });
});

it("blocks and unblocks by one click each", async () => {
  let status: Token["status"] = "active";
  const calls = tokensAt({
    "GET /tokens": list(token("AB12")),
    "PATCH /tokens/id-AB12": ({ body }: { body: unknown }) => {
      status = (body as { status: Token["status"] }).status;
      return { body: token("AB12", { status }) };
    },
  });
  const user = userEvent.setup();
  await user.click(within(await row("AB12")).getByRole("button", { name: "Block AB12" }));
  expect(await within(await row("AB12")).findByText("Blocked")).toBeTruthy();
  await user.click(within(await row("AB12")).getByRole("button", { name: "Unblock AB12" }));
  expect(await within(await row("AB12")).findByText("Active")).toBeTruthy();
  expect(sent(calls, "PATCH").map((c) => c.body)).toEqual([{ status: "blocked" }, { status: "active" }]);
});

it("changes a token without touching an end of validity that was left alone, and takes one away", async () => {
  const validUntil = "2031-02-03T04:05:06Z";
  const calls = tokensAt({
    "GET /tokens": list(token("AB12", { validUntil, type: "" })),
    "PATCH /tokens/id-AB12": ({ body }: { body: unknown }) => ({
      body: token("AB12", { validUntil, type: "", note: (body as { note: string }).note }),
    }),
  });
  const user = userEvent.setup();
  const edit = async () => {
    await user.click(within(await row("AB12")).getByRole("button", { name: "More for AB12" }));
    await user.click(await screen.findByRole("menuitem", { name: "Edit…" }));
    return screen.findByRole("dialog");
  };
  let dialog = await edit();
  await user.type(within(dialog).getByLabelText("Note"), "Ann");
  await user.click(within(dialog).getByRole("button", { name: "Save" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  dialog = await edit();
  await user.clear(within(dialog).getByLabelText("Valid until"));
  await user.click(within(dialog).getByRole("button", { name: "Save" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(sent(calls, "PATCH").map((c) => c.body)).toEqual([
    { type: "", group: "", note: "Ann" },
    { type: "", group: "", note: "Ann", forever: true },
  ]);
});

it("deletes a token after a question", async () => {
  const calls = tokensAt({
    "GET /tokens": list(token("AB12"), token("CD34")),
    "DELETE /tokens/id-AB12": () => ({ status: 200 }),
  });
  const user = userEvent.setup();
  await user.click(within(await row("AB12")).getByRole("button", { name: "More for AB12" }));
  await user.click(await screen.findByRole("menuitem", { name: "Delete…" }));
  expect(sent(calls, "DELETE")).toEqual([]);
  await user.click(await screen.findByRole("button", { name: "Delete token" }));
  await waitFor(() => expect(screen.queryByText("AB12")).toBeNull());
  await row("CD34");
});

it("shows where to connect, registers a station, and shows its password once", async () => {
  const calls = stubApi({
    "POST /stations": ({ body }: { body: unknown }) => ({
      status: 201,
      body: { ...station((body as { id: string }).id), password: "p4ssw0rd-made-here" },
    }),
  });
  renderAt("/", [{ path: "/", element: <ConnectDialog onClose={() => {}} /> }]);
  const user = userEvent.setup();
  const dialog = await screen.findByRole("dialog");
  const { host } = window.location;
  expect(within(dialog).getByText(`ws://${host}/ocpp/<id>`)).toBeTruthy();
  await user.click(within(dialog).getByRole("button", { name: "Register" }));
  expect(within(dialog).getByText("An id is needed.")).toBeTruthy();
  await user.type(within(dialog).getByLabelText("Station id"), "CS 1");
  expect(within(dialog).getByText(`ws://${host}/ocpp/CS%201`)).toBeTruthy();
  await user.click(within(dialog).getByRole("button", { name: "Register" }));
  expect(await screen.findByText("p4ssw0rd-made-here")).toBeTruthy();
  expect(screen.getByRole("button", { name: "Copy Password" })).toBeTruthy();
  expect(sent(calls, "POST").map((c) => c.body)).toEqual([{ id: "CS 1", securityProfile: 1 }]);
  expect(screen.queryByText(/needs TLS/)).toBeNull();
  await user.click(screen.getByRole("button", { name: "Register another" }));
  expect(screen.queryByText("p4ssw0rd-made-here")).toBeNull();
});

it("sets a password, switches strictness, and deletes only what was typed", async () => {
  const calls = stubApi({
    "POST /stations/CS-1/password": { password: "p4ssw0rd-made-here" },
    "PATCH /stations/CS-1": station("CS-1", { strict: true }),
    "DELETE /stations/CS-1": () => ({ status: 200 }),
  });
  const { router } = renderAt("/stations/CS-1", [
    { path: "/stations/CS-1", element: <StationMenu station={station("CS-1", { securityProfile: 0 })} /> },
    { path: "/", element: <p>the fleet</p> },
  ]);
  const user = userEvent.setup();
  const choose = async (role: string, name: RegExp) => {
    await user.click(screen.getByRole("button", { name: "Manage CS-1" }));
    await user.click(await screen.findByRole(role, { name }));
  };
  await choose("menuitem", /^Set password/);
  let dialog = await screen.findByRole("dialog");
  expect(within(dialog).getByText(/raises its security profile to 1/)).toBeTruthy();
  expect(sent(calls, "POST")).toEqual([]);
  await user.click(within(dialog).getByRole("button", { name: "Make a new password" }));
  expect(await within(dialog).findByText("p4ssw0rd-made-here")).toBeTruthy();
  await user.click(within(dialog).getByRole("button", { name: "Done" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());

  await choose("menuitemcheckbox", /^Strict mode/);
  await waitFor(() => expect(sent(calls, "PATCH").map((c) => c.body)).toEqual([{ strict: true }]));
  await user.keyboard("{Escape}");

  await choose("menuitem", /^Delete station/);
  dialog = await screen.findByRole("dialog");
  const sure = within(dialog).getByRole<HTMLButtonElement>("button", { name: "Delete station" });
  await user.type(within(dialog).getByRole("textbox"), "CS-");
  expect(sure.disabled).toBe(true);
  await user.type(within(dialog).getByRole("textbox"), "1");
  await user.click(sure);
  await screen.findByText("the fleet");
  expect(router.state.location.pathname).toBe("/");
  expect(sent(calls, "DELETE")).toHaveLength(1);
});
