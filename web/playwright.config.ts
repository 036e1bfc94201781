import { defineConfig } from "@playwright/test";

/** One browser, one node, one test after the other: they share a small fleet of virtual stations. */
export default defineConfig({
  testDir: "e2e",
  globalSetup: "./e2e/node.ts",
  outputDir: "test-results/run",
  workers: 1,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    viewport: { width: 1440, height: 900 },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.LUMELA_E2E_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
