import { type APIRequestContext, expect, type Page, test } from "@playwright/test";
import { address, api, ensureToken, signIn, violations, watchConsole } from "./console";
import { type Call, playStation } from "./wire";

const run = Date.now().toString(36).toUpperCase();
const screens = "test-results/screens";

/** Registers a station that may come without a password. */
async function register(request: APIRequestContext, id: string): Promise<void> {
  const made = await request.post(`${address()}${api}/stations`, {
    headers: { "X-Lumela-Console": "1" },
    data: { id },
  });
  expect(made.ok(), await made.text()).toBe(true);
}

/** An hour ago, and so many minutes later. */
const when = (minutes: number) => new Date(Date.now() - 3_600_000 + minutes * 60_000).toISOString();

/** A whole session, charged with a token that nobody knows: the station did not wait for the answer. */
function story(idTag: string): Call[] {
  return [
    ["BootNotification", { chargePointVendor: "Acme", chargePointModel: "Scripted" }],
    ["StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Charging", timestamp: when(0) }],
    ["StartTransaction", { connectorId: 1, idTag, meterStart: 1_000_000, timestamp: when(0) }],
    [
      "StopTransaction",
      { transactionId: "started", idTag, meterStop: 1_007_500, timestamp: when(50), reason: "Local" },
    ],
    [
      "StatusNotification",
      { connectorId: 1, errorCode: "NoError", status: "Available", timestamp: when(51) },
    ],
  ];
}

async function heldSession(page: Page, id: string): Promise<string> {
  await register(page.request, id);
  const answers = await playStation(page, id, story(`NOBODY${run}`));
  expect(answers[0]).toMatchObject({ status: "Accepted" });
  expect(answers[2]).toMatchObject({ idTagInfo: { status: "Invalid" } });
  let found = "";
  await expect
    .poll(async () => {
      const answer = await page.request.get(`${address()}${api}/sessions?station=${id}&billing=held`);
      const { items } = await answer.json();
      found = items[0]?.id ?? "";
      return items.length;
    })
    .toBe(1);
  return found;
}

/** Waits until the sums of history have the station's session. */
async function takenIn(request: APIRequestContext, station: string): Promise<void> {
  const wh = async () => {
    const answer = await request.get(`${address()}${api}/history?station=${station}&metric=energy`);
    const { items } = await answer.json();
    return items.reduce((sum: number, b: { energyWh: number }) => sum + b.energyWh, 0);
  };
  await expect.poll(wh, { timeout: 100_000 }).toBe(7500);
}

test("a held session is released by a person, and says so on every page that shows it", async ({ page }) => {
  const errors = watchConsole(page);
  await signIn(page, "/");
  const station = `HELD-${run}`;
  const id = await heldSession(page, station);

  await page.goto(`${address()}/sessions`);
  await page.getByRole("link", { name: "Show them" }).click();
  const line = page.locator(`tr[data-session="${id}"]`);
  await expect(line).toContainText("Held");
  await line.getByRole("link", { name: /^Open session/ }).click();

  const banner = page.locator("section[data-billing]");
  await expect(banner).toContainText("Held back from billing");
  await expect(banner.locator('[data-flag="token-refused"]')).toContainText("Holds billing");
  await expect(page.getByText(/by the meter's register: 1,000\.000 kWh to 1,007\.500 kWh/)).toBeVisible();
  const story = page.getByRole("list", { name: "Timeline of this session" });
  await expect(story.locator('[data-kind="Ended"]')).toBeVisible();

  // Somebody else looks at it meanwhile: their page follows without a reload.
  const other = await page.context().newPage();
  await other.goto(`${address()}/sessions/${id}`);
  await expect(other.locator('section[data-billing="held"]')).toBeVisible();

  await page.getByRole("button", { name: "Release…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Release for billing" }).click();
  await expect(dialog.getByText("A reason is needed.")).toBeVisible();
  await dialog.getByRole("textbox", { name: "Reason" }).fill("The driver showed the receipt.");
  await dialog.getByRole("button", { name: "Release for billing" }).click();
  await expect(dialog).toBeHidden();
  for (const each of [page, other]) {
    const ready = each.locator('section[data-billing="ready"]');
    await expect(ready).toContainText("Ready for billing");
    await expect(ready).toContainText("The driver showed the receipt.");
    await expect(
      each.getByRole("list", { name: "Timeline of this session" }).locator('[data-kind="flag-released"]'),
    ).toBeVisible();
  }
  expect(errors).toEqual([]);
});

let shared: Promise<{ station: string; id: string }> | undefined;

/** One held session for all looks of the pages: history takes a minute to know of it. */
function sharedSession(page: Page) {
  shared ??= (async () => {
    const station = `AXEHELD-${run}`;
    const id = await heldSession(page, station);
    await takenIn(page.request, station);
    return { station, id };
  })();
  return shared;
}

for (const scheme of ["light", "dark"] as const) {
  for (const [width, viewport] of Object.entries({
    wide: { width: 1440, height: 900 },
    phone: { width: 390, height: 844 },
  })) {
    test(`the ledger's pages are accessible: ${scheme}, ${width}`, async ({ page }) => {
      test.setTimeout(180_000); // history takes a session in within a minute
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.setViewportSize(viewport);
      const errors = watchConsole(page);
      const check = async (name: string) => {
        await expect(page.locator(".mantine-Skeleton-root")).toHaveCount(0);
        await page.screenshot({ path: `${screens}/${name}-${scheme}-${width}.png`, fullPage: true });
        expect.soft(await violations(page), name).toEqual([]);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect.soft(overflow, `${name} is wider than the screen`).toBeLessThanOrEqual(0);
      };
      await signIn(page);
      await ensureToken(page.request, "E2E0TOKEN1");
      const { station, id } = await sharedSession(page);

      await page.goto(`${address()}/sessions?billing=held`);
      await expect(page.locator(`tr[data-session="${id}"]`)).toBeVisible();
      await check("sessions-held");
      await page.goto(`${address()}/sessions`);
      await expect(page.getByRole("link", { name: "Show them" })).toBeVisible();
      await check("sessions-need-hand");
      await page.goto(`${address()}/sessions/${id}`);
      await expect(page.locator('section[data-billing="held"]')).toBeVisible();
      await expect(page.locator('[data-kind="Ended"]')).toBeVisible();
      await check("session-held");
      await page.getByRole("button", { name: "Release…" }).click();
      await expect(page.getByRole("dialog")).toBeVisible();
      await check("session-release");

      await page.goto(`${address()}/stations/${station}?tab=history`);
      await expect(page.getByRole("img", { name: /^Bars of Energy/ })).toBeVisible();
      await check("station-figures");
      await page.goto(`${address()}/stations/${station}?tab=guardian`);
      await expect(page.getByText("The guardian has found nothing wrong here.")).toBeVisible();
      await check("station-guardian");
      for (const by of ["hour", "day", "month"]) {
        await page.goto(`${address()}/history?by=${by}`);
        await expect(page.getByRole("img", { name: /^Bars of Energy/ })).toBeVisible();
        await expect(page.getByRole("table", { name: "Figures" })).toBeVisible();
        await check(`history-${by}`);
      }
      await page.goto(`${address()}/installation`);
      for (const name of ["Nodes", "Jobs", "Retention"])
        await expect(page.getByRole("table", { name })).toBeVisible();
      await check("installation");
      expect(errors).toEqual([]);
    });
  }
}
