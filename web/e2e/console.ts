import AxeBuilder from "@axe-core/playwright";
import { type APIRequestContext, expect, type Page } from "@playwright/test";

export const api = "/api/v1";
const csrf = { "X-Lumela-Console": "1" };

export function need(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: see e2e/node.ts`);
  return value;
}

export const address = () => need("LUMELA_E2E_URL").replace(/\/$/, "");

/** Signs in by the form, as a person does. */
export async function signIn(page: Page, path = "/"): Promise<void> {
  await page.goto(address() + path);
  await page.getByLabel("Email").fill(need("LUMELA_E2E_EMAIL"));
  await page.getByLabel("Password", { exact: true }).fill(need("LUMELA_E2E_PASSWORD"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation", { name: "Main" })).toBeVisible();
}

export type Station = {
  id: string;
  protocol: string;
  evses: { id: number; session: { id: string } | null }[];
};

export async function stations(request: APIRequestContext): Promise<Station[]> {
  const answer = await request.get(`${address()}${api}/stations?limit=100`);
  expect(answer.ok(), await answer.text()).toBe(true);
  return (await answer.json()).items;
}

export async function session(request: APIRequestContext, id: string): Promise<{ state: string }> {
  const answer = await request.get(`${address()}${api}/sessions/${id}`);
  expect(answer.ok(), await answer.text()).toBe(true);
  return answer.json();
}

/** One station of each OCPP version, from the demonstration fleet. */
export async function oneOfEach(request: APIRequestContext): Promise<Record<string, Station>> {
  const found: Record<string, Station> = {};
  for (const station of await stations(request)) found[station.protocol] ??= station;
  expect(Object.keys(found).sort()).toEqual(["1.6", "2.0.1", "2.1"]);
  return found;
}

/** A token that the node accepts. */
export async function ensureToken(request: APIRequestContext, uid: string): Promise<void> {
  const known = await request.get(`${address()}${api}/tokens?uid=${uid}`);
  if ((await known.json()).items.length > 0) return;
  const made = await request.post(`${address()}${api}/tokens`, {
    headers: csrf,
    data: { uid, type: "ISO14443" },
  });
  expect(made.ok(), await made.text()).toBe(true);
}

/** What axe finds against WCAG 2.2 AA, as short lines. */
export async function violations(page: Page): Promise<string[]> {
  const result = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])
    .analyze();
  return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(" | ")}`);
}

/** Nothing may reach the browser's console as an error, a refusal by the security policy least of all. */
export function watchConsole(page: Page): string[] {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // Asking who we are before the sign-in is answered 401, which the browser notes.
    if (message.type() === "error" && !message.text().includes("401"))
      errors.push(`${message.text()} ${message.location().url}`);
  });
  return errors;
}
