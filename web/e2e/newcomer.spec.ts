import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { expect, type Page, test } from "@playwright/test";
import { address, signIn, stations, violations, watchConsole } from "./console";
import { binary } from "./node";

// Of this run alone: a node that serves several runs knows the others' stations and tokens already.
const run = randomBytes(3).toString("hex").toUpperCase();
const screens = "test-results/screens";
const row = (page: Page, id: string) => page.locator(`[role=row][data-station="${id}"]`);
const tokenRow = (page: Page, uid: string) => page.locator(`[role=row][data-token="${uid}"]`);

/** One virtual station in a process of its own, as a stranger at the door. */
class Stranger {
  private readonly process: ChildProcess;
  private said = "";

  constructor(prefix: string, token: string) {
    const url = `${address().replace(/^http/, "ws")}/ocpp`;
    const args = ["simulate", "--url", url, "--count", "1", "--id-prefix", prefix, "--version", "2.0.1"];
    // A car comes at once and stays; its driver's token is unknown here, so that only the test can start.
    const car = ["--evses", "1", "--token", token, "--session-every", "2s", "--session-length", "9999h"];
    this.process = spawn(binary, [...args, ...car, "--speed", "10"], { stdio: ["ignore", "pipe", "pipe"] });
    const hear = (chunk: Buffer) => {
      this.said += chunk.toString();
    };
    this.process.stdout?.on("data", hear);
    this.process.stderr?.on("data", hear);
  }

  /** What the process wrote, for a failing test to tell. */
  words(): string {
    return this.said;
  }

  leave(): Promise<void> {
    if (this.process.exitCode !== null || this.process.pid === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const hard = setTimeout(() => this.process.kill("SIGKILL"), 5000);
      this.process.once("exit", () => {
        clearTimeout(hard);
        resolve();
      });
      this.process.kill("SIGTERM");
    });
  }
}

test("a stranger is let in by one click, and charges with a token made here", async ({ page }) => {
  test.setTimeout(150_000);
  const errors = watchConsole(page);
  const uid = `NEWCARD${run}`;
  const prefix = `NEW-${run}-`;
  await signIn(page);
  await expect(page.getByRole("table", { name: "Stations" })).toBeVisible();
  const loads: string[] = [];
  page.on("request", (request) => {
    if (request.isNavigationRequest()) loads.push(request.url());
  });
  const stranger = new Stranger(prefix, `NOBODY${run}`);
  try {
    const waiting = page.getByRole("region", { name: "Waiting room" });
    const link = waiting.getByRole("link", { name: new RegExp(`^${prefix}`) });
    await expect(link, stranger.words()).toBeVisible({ timeout: 30_000 });
    const id = (await link.textContent()) ?? "";
    expect(loads, "the page was loaded again").toEqual([]);

    await waiting.getByRole("button", { name: `Accept ${id}` }).click();
    await expect(row(page, id)).toBeVisible();
    await expect(link).toHaveCount(0);
    // Its connectors, and the car at one of them.
    await expect(row(page, id).locator('[data-evse="1"] [data-state="Occupied"]')).toBeVisible({
      timeout: 60_000,
    });

    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Tokens" }).click();
    await addToken(page, uid, "Made for a stranger");

    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Fleet" }).click();
    await row(page, id).getByRole("link", { name: id }).click();
    await page.getByRole("button", { name: "Start…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("combobox", { name: "Token", exact: true }).fill(uid);
    await dialog.getByRole("button", { name: "Start charging" }).click();
    await expect(dialog).toBeHidden();
    const stop = page.getByRole("button", { name: `Stop charging at ${id}, EVSE 1` });
    await expect(stop).toBeVisible({ timeout: 45_000 });
    await expect(page.locator('[data-evse="1"] [data-state="Charging"]')).toBeVisible({ timeout: 45_000 });
    await page.screenshot({ path: `${screens}/newcomer-charging.png` });

    const frames = page.getByRole("region", { name: "Frames, newest first" });
    await onlyFrames(page, "RequestStartTransaction");
    await expect(frames.getByRole("button")).toHaveCount(2);
    await frames.getByRole("button").last().click();
    await expect(frames.locator("pre")).toContainText(uid);

    await stop.click();
    await page.getByRole("button", { name: "Stop charging", exact: true }).click();
    await expect(stop).toHaveCount(0, { timeout: 45_000 });
    await onlyFrames(page, "RequestStopTransaction");
    await expect(frames.getByRole("button")).toHaveCount(2);
    await onlyFrames(page, "TransactionEvent");
    await expect(frames.locator("[data-frame]").first()).toBeVisible();
    await page.screenshot({ path: `${screens}/newcomer-stopped.png` });
    expect(errors).toEqual([]);
  } finally {
    await stranger.leave();
  }
});

/** Chooses whose frames the station's page shows. */
async function onlyFrames(page: Page, action: string): Promise<void> {
  await page.getByRole("combobox", { name: "Action" }).fill(action);
  await page.getByRole("option", { name: action, exact: true }).click();
}

async function addToken(page: Page, uid: string, note: string): Promise<void> {
  await page.getByRole("button", { name: "Add a token" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox", { name: "Uid" }).fill(uid);
  await dialog.getByRole("textbox", { name: "Note" }).fill(note);
  await dialog.getByRole("button", { name: "Add token" }).click();
  await expect(dialog).toBeHidden();
  await findToken(page, uid);
  await expect(tokenRow(page, uid)).toContainText(note);
}

/** Leaves one row of the list: of a long one only those exist that are in sight, and menus belong to their row. */
async function findToken(page: Page, uid: string): Promise<void> {
  await page.getByRole("searchbox", { name: "Search tokens" }).fill(uid);
  await expect(page.locator("[role=row][data-token]")).toHaveCount(1);
}

test("a token is added, found, blocked, changed and deleted", async ({ page }) => {
  const uid = `Card-${run}`;
  await signIn(page, "/tokens");
  await addToken(page, uid, "First card");
  // Its uid is taken, whatever its case.
  await page.getByRole("button", { name: "Add a token" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox", { name: "Uid" }).fill(uid.toLowerCase());
  await dialog.getByRole("button", { name: "Add token" }).click();
  await expect(dialog.getByRole("alert")).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();

  await findToken(page, `CARD-${run}`);
  const line = tokenRow(page, uid);
  await line.getByRole("button", { name: `Block ${uid}`, exact: true }).click();
  await expect(line.getByText("Blocked", { exact: true })).toBeVisible();
  await line.getByRole("button", { name: `Unblock ${uid}` }).click();
  await expect(line.getByText("Active", { exact: true })).toBeVisible();

  await line.getByRole("button", { name: `More for ${uid}` }).click();
  await page.getByRole("menuitem", { name: "Edit…" }).click();
  await dialog.getByRole("textbox", { name: "Group" }).fill("FLEET-A");
  await dialog.getByLabel("Valid until").fill("2020-01-02T03:04");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  await expect(line).toContainText("FLEET-A");
  await expect(line.getByText("Expired", { exact: true })).toBeVisible();
  await page.reload();
  await expect(line).toContainText("2020");

  await line.getByRole("button", { name: `More for ${uid}` }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await dialog.getByRole("button", { name: "Delete token" }).click();
  await expect(line).toHaveCount(0);
});

test("a station is registered, gets passwords, is made strict, and is deleted", async ({ page }) => {
  const id = `REG-${run}`;
  await signIn(page);
  await page.getByRole("button", { name: "Connect a station" }).click();
  const dialog = page.getByRole("dialog");
  const host = new URL(address()).host;
  await expect(dialog.getByText(`ws://${host}/ocpp/<id>`)).toBeVisible();
  await dialog.getByRole("textbox", { name: "Station id" }).fill(id);
  await expect(dialog.getByText(`ws://${host}/ocpp/${id}`)).toBeVisible();
  await dialog.getByRole("button", { name: "Register", exact: true }).click();
  await expect(dialog.getByText(`${id} is registered`)).toBeVisible();
  const made = dialog.locator("code").last();
  const first = (await made.textContent()) ?? "";
  expect(first).toMatch(/^[\x21-\x7e]{16,40}$/);
  await dialog.getByRole("button", { name: "Done" }).click();

  await row(page, id).getByRole("link", { name: id }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(id);
  const menu = page.getByRole("button", { name: `Manage ${id}` });
  await menu.click();
  await page.getByRole("menuitem", { name: "Set password…" }).click();
  await dialog.getByRole("button", { name: "Make a new password" }).click();
  await expect(dialog.getByText(`${id} has a new password`)).toBeVisible();
  expect(await made.textContent()).not.toBe(first);
  await dialog.getByRole("button", { name: "Done" }).click();

  await menu.click();
  await page.getByRole("menuitemcheckbox", { name: /^Strict mode/ }).click();
  await expect(page.getByRole("menuitemcheckbox", { name: /^Strict mode/ })).toBeChecked();
  await page.keyboard.press("Escape");
  await page.reload();
  await expect(page.locator("dt:text('Strict mode') + dd")).toHaveText("On");

  await menu.click();
  await page.getByRole("menuitem", { name: "Delete station…" }).click();
  const sure = dialog.getByRole("button", { name: "Delete station" });
  await expect(sure).toBeDisabled();
  await dialog.getByRole("textbox").fill(id);
  await sure.click();
  await expect(page.getByRole("table", { name: "Stations" })).toBeVisible();
  await expect(row(page, id)).toHaveCount(0);
  expect((await stations(page.request)).map((s) => s.id)).not.toContain(id);
});

for (const scheme of ["light", "dark"] as const) {
  for (const [width, viewport] of Object.entries({
    wide: { width: 1440, height: 900 },
    phone: { width: 390, height: 844 },
  })) {
    test(`dialogs and tokens are accessible: ${scheme}, ${width}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.setViewportSize(viewport);
      const errors = watchConsole(page);
      const dialog = page.getByRole("dialog");
      const check = async (name: string) => {
        await page.screenshot({ path: `${screens}/${name}-${scheme}-${width}.png` });
        expect.soft(await violations(page), name).toEqual([]);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect.soft(overflow, `${name} is wider than the screen`).toBeLessThanOrEqual(0);
      };
      const close = async () => {
        await page.keyboard.press("Escape");
        await expect(dialog).toBeHidden();
      };
      const id = `AXE-${run}-${scheme}-${width}`;
      await signIn(page);
      await page.getByRole("button", { name: "Account" }).click();
      await expect(page.getByRole("menu")).toBeVisible();
      await check("account");
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Connect a station" }).click();
      await expect(dialog).toBeVisible();
      await check("connect");
      await dialog.getByRole("textbox", { name: "Station id" }).fill(id);
      await dialog.getByRole("combobox", { name: "Security profile" }).click();
      await page.getByRole("option", { name: /^2:/ }).click();
      await expect(dialog.getByText(/needs TLS/)).toBeVisible();
      await check("connect-tls");
      await dialog.getByRole("button", { name: "Register", exact: true }).click();
      await expect(dialog.getByText(`${id} is registered`)).toBeVisible();
      await check("connect-registered");
      await close();

      await page.goto(`${address()}/stations/${id}`);
      await page.getByRole("button", { name: `Manage ${id}` }).click();
      await expect(page.getByRole("menu")).toBeVisible();
      await check("station-menu");
      await page.getByRole("menuitem", { name: "Set password…" }).click();
      await expect(dialog).toBeVisible();
      await check("station-password");
      await close();
      await page.getByRole("button", { name: `Manage ${id}` }).click();
      await page.getByRole("menuitem", { name: "Delete station…" }).click();
      await expect(dialog).toBeVisible();
      await check("station-delete");
      await close();

      await page.route("**/api/v1/tokens?*", (route) => route.fulfill({ json: { items: [], next: null } }));
      await page.goto(`${address()}/tokens`);
      await expect(page.getByText("No tokens yet")).toBeVisible();
      await check("tokens-empty");
      await page.unroute("**/api/v1/tokens?*");
      await page.reload();
      const uid = `AXE${run}${scheme}${width}`;
      await addToken(page, uid, "Pool car, key number 12");
      await tokenRow(page, uid)
        .getByRole("button", { name: `Block ${uid}` })
        .click();
      await expect(tokenRow(page, uid).getByText("Blocked", { exact: true })).toBeVisible();
      await page.getByRole("searchbox", { name: "Search tokens" }).clear();
      await expect(page.locator('[data-token="DEMO"]')).toBeVisible();
      await check("tokens");
      await findToken(page, uid);
      await page.getByRole("button", { name: "Add a token" }).click();
      await expect(dialog).toBeVisible();
      await check("token-add");
      await close();
      await tokenRow(page, uid)
        .getByRole("button", { name: `More for ${uid}` })
        .click();
      await expect(page.getByRole("menu")).toBeVisible();
      await check("token-menu");
      await page.getByRole("menuitem", { name: "Delete…" }).click();
      await expect(dialog).toBeVisible();
      await check("token-delete");
      expect(errors).toEqual([]);
    });
  }
}
