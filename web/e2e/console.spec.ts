import { expect, type Page, test } from "@playwright/test";
import {
  address,
  api,
  ensureToken,
  need,
  oneOfEach,
  session,
  signIn,
  stations,
  violations,
  watchConsole,
} from "./console";

const uid = "E2E0TOKEN1";
const screens = "test-results/screens";

const row = (page: Page, id: string) => page.locator(`[role=row][data-station="${id}"]`);

/** Starts charging at the first free EVSE by the fleet's button, unless the station charges already. */
async function charge(page: Page, id: string): Promise<void> {
  const line = row(page, id);
  await expect(line).toBeVisible();
  if ((await line.locator('[data-state="Charging"]').count()) > 0) return;
  await line
    .getByRole("button", { name: /^Start charging at/ })
    .first()
    .click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox", { name: "Token", exact: true }).fill(uid);
  await dialog.getByRole("button", { name: "Start charging" }).click();
  await expect(dialog).toBeHidden();
  await expect(line.locator('[data-state="Charging"]').first()).toBeVisible({ timeout: 30_000 });
}

/** Stops what runs at an EVSE, by the fleet's button and its second question. */
async function stop(page: Page, id: string, evse: number): Promise<void> {
  await row(page, id)
    .getByRole("button", { name: `Stop charging at ${id}, EVSE ${evse}` })
    .click();
  await page.getByRole("button", { name: "Stop charging", exact: true }).click();
}

test("refuses a wrong password and signs in with the right one", async ({ page }) => {
  await page.goto(`${address()}/sessions`);
  await page.getByLabel("Email").fill(need("LUMELA_E2E_EMAIL"));
  await page.getByLabel("Password", { exact: true }).fill("certainly wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("Email or password is wrong");
  await page.getByLabel("Password", { exact: true }).fill(need("LUMELA_E2E_PASSWORD"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Sessions", level: 1 })).toBeVisible();
});

test("the fleet charges on all three versions, live", async ({ page }) => {
  const errors = watchConsole(page);
  await signIn(page);
  await ensureToken(page.request, uid);
  for (const [version, station] of Object.entries(await oneOfEach(page.request))) {
    await expect(row(page, station.id)).toContainText(version);
    await charge(page, station.id);
  }
  // The figures move by themselves: no reload, no click.
  const first = row(page, (await oneOfEach(page.request))["1.6"]?.id ?? "");
  const energy = first.getByText(/ kWh$/).first();
  const before = await energy.textContent();
  await expect(energy).not.toHaveText(before ?? "", { timeout: 75_000 });
  expect(errors).toEqual([]);
});

test("a station's frames stream, pause and open", async ({ page }) => {
  await signIn(page);
  const station = (await oneOfEach(page.request))["1.6"];
  await page.getByRole("link", { name: station?.id ?? "" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(station?.id ?? "");
  const frames = page.getByRole("region", { name: "Frames, newest first" });
  await expect(frames.locator("[data-frame]").first()).toBeVisible();
  const newest = () => frames.locator("[data-frame]").first().getAttribute("data-frame");
  const before = await newest();
  const provoke = () =>
    page.request.post(`${address()}${api}/stations/${station?.id}/commands/TriggerMessage?wait=10s`, {
      headers: { "X-Lumela-Console": "1" },
      data: { requestedMessage: "Heartbeat" },
    });
  expect((await provoke()).ok()).toBe(true);
  await expect.poll(newest).not.toBe(before);

  await page.getByRole("button", { name: "Pause" }).click();
  const held = await newest();
  expect((await provoke()).ok()).toBe(true);
  await expect(page.getByText(/Paused · [1-9]\d* new/)).toBeVisible();
  expect(await newest()).toBe(held);
  await page.getByRole("button", { name: "Resume" }).click();
  await expect.poll(newest).not.toBe(held);

  await page.getByRole("combobox", { name: "Action" }).click();
  await page.getByRole("option", { name: "Heartbeat" }).click();
  await expect(frames.getByRole("button").first()).toContainText("Heartbeat");
  await frames.getByRole("button").first().click();
  await expect(frames.locator("pre").first()).toContainText("{");
});

test("stops and starts from the fleet, and the session tells its story", async ({ page }) => {
  await signIn(page);
  await ensureToken(page.request, uid);
  const id = (await oneOfEach(page.request))["2.1"]?.id ?? "";
  await charge(page, id);
  const running = (await stations(page.request)).find((s) => s.id === id)?.evses.find((e) => e.session);
  const first = running?.session?.id ?? "";
  const evse = running?.id ?? 0;

  await stop(page, id, evse);
  await expect
    .poll(() => session(page.request, first), { timeout: 30_000 })
    .toMatchObject({ state: "ended" });

  // Whoever is plugged in there next: the fleet's own drivers come and go, but this token is ours alone.
  const start = row(page, id).getByRole("button", { name: `Start charging at ${id}, EVSE ${evse}` });
  await start.click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox", { name: "Token", exact: true }).fill(uid);
  await dialog.getByRole("button", { name: "Start charging" }).click();
  await expect(dialog).toBeHidden();
  await expect(
    row(page, id).getByRole("button", { name: `Stop charging at ${id}, EVSE ${evse}` }),
  ).toBeVisible({
    timeout: 30_000,
  });

  await page.goto(`${address()}/sessions/${first}`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Session");
  await expect(page.getByText("Ended", { exact: true }).first()).toBeVisible();
  await expect(page.getByRole("img", { name: /Chart of power and energy/ })).toBeVisible();
  const frames = page.getByRole("region", { name: "Frames, newest first" });
  await expect(frames.locator("[data-frame]").first()).toBeVisible();
});

test("a free command shows its answer, and its refused fields", async ({ page }) => {
  await signIn(page);
  const id = (await oneOfEach(page.request))["1.6"]?.id ?? "";
  await page.goto(`${address()}/stations/${id}?tab=commands`);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.getByText(/^GetVariables: /)).toBeVisible();
  await page.getByLabel("OCPP 2.1 payload").fill('{"getVariableData": []}');
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.getByRole("alert").first()).toContainText("getVariableData");
});

test("signs out", async ({ page }) => {
  await signIn(page);
  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByLabel("Email")).toBeVisible();
  await page.goto(`${address()}/`);
  await expect(page.getByLabel("Email")).toBeVisible();
});

for (const scheme of ["light", "dark"] as const) {
  for (const [width, viewport] of Object.entries({
    wide: { width: 1440, height: 900 },
    phone: { width: 390, height: 844 },
  })) {
    test(`every page is accessible and keeps its policy: ${scheme}, ${width}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.setViewportSize(viewport);
      const errors = watchConsole(page);
      const check = async (name: string) => {
        await expect(page.locator(".mantine-Skeleton-root")).toHaveCount(0);
        await page.screenshot({ path: `${screens}/${name}-${scheme}-${width}.png` });
        expect.soft(await violations(page), name).toEqual([]);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect.soft(overflow, `${name} is wider than the screen`).toBeLessThanOrEqual(0);
      };
      await page.goto(`${address()}/`);
      await expect(page.getByLabel("Email")).toBeVisible();
      await check("sign-in");
      await signIn(page);
      const stations = await oneOfEach(page.request);
      await expect(row(page, stations["1.6"]?.id ?? "")).toBeVisible();
      await check("fleet");
      const id = stations["2.0.1"]?.id ?? "";
      for (const tab of ["frames", "sessions", "variables", "history", "notices", "commands"]) {
        await page.goto(`${address()}/stations/${id}?tab=${tab}`);
        await expect(page.getByRole("tab", { selected: true })).toBeVisible();
        await page.waitForLoadState("load");
        await expect(page.getByRole("button", { name: "Reset…" })).toBeEnabled();
        await check(`station-${tab}`);
      }
      await page.getByRole("button", { name: "Start…" }).click();
      await expect(page.getByRole("dialog")).toBeVisible();
      await check("start");
      await page.goto(`${address()}/sessions`);
      const sessions = page.getByRole("table", { name: "Sessions" });
      await expect(sessions).toBeVisible();
      await check("sessions");
      await sessions
        .getByRole("link", { name: /^Open session/ })
        .last()
        .click();
      await expect(page.getByRole("heading", { level: 1 })).toContainText("Session");
      await expect(page.getByRole("heading", { name: "Power and energy" })).toBeVisible();
      const chart = page.getByRole("img", { name: /^Chart of power and energy/ });
      await expect(chart.or(page.getByText("No meter values yet.")).first()).toBeVisible();
      await check("session");
      await page.goto(`${address()}/no/such/page`);
      await expect(page.getByText("There is no such page")).toBeVisible();
      await check("not-found");
      expect(errors).toEqual([]);
    });
  }
}
