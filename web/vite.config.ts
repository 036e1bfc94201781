import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** What a browser may have to fetch before the first page shows, gzipped. */
const firstLoadBudget = 300_000;

/**
 * Writes a gzip copy beside every asset worth compressing, so that the binary never compresses at run time,
 * and fails the build when the first load outgrows its budget.
 */
function precompress(): Plugin {
  let outDir = "dist";
  return {
    name: "precompress",
    apply: "build",
    configResolved(config) {
      outDir = config.build.outDir;
    },
    writeBundle(_options, bundle) {
      const sizes = new Map<string, number>();
      for (const name of Object.keys(bundle)) {
        const bytes = readFileSync(join(outDir, name));
        if (!/\.(js|css|svg|json)$/.test(name)) {
          sizes.set(name, bytes.length);
          continue;
        }
        const packed = gzipSync(bytes, { level: 9 });
        sizes.set(name, packed.length);
        if (bytes.length > 1024) writeFileSync(join(outDir, `${name}.gz`), packed);
      }
      const total = firstLoad(bundle, sizes);
      const line = `first load ${(total / 1000).toFixed(1)} kB gzip of ${firstLoadBudget / 1000} kB allowed`;
      if (total > firstLoadBudget) this.error(line);
      console.log(line);
    },
  };
}

/** The entry, everything it imports statically, its styles, and the first page behind sign-in. */
function firstLoad(bundle: Record<string, unknown>, sizes: Map<string, number>): number {
  type Chunk = {
    type: string;
    isEntry?: boolean;
    name?: string;
    imports?: string[];
    viteMetadata?: { importedCss: Set<string> };
  };
  const wanted = new Set<string>();
  const visit = (name: string) => {
    if (wanted.has(name)) return;
    wanted.add(name);
    const chunk = bundle[name] as Chunk | undefined;
    for (const css of chunk?.viteMetadata?.importedCss ?? []) wanted.add(css);
    for (const next of chunk?.imports ?? []) visit(next);
  };
  for (const [name, item] of Object.entries(bundle)) {
    const chunk = item as Chunk;
    if (chunk.isEntry || chunk.name === "Fleet") visit(name);
  }
  return [...wanted].reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
}

export default defineConfig({
  plugins: [react(), precompress()],
  build: {
    // light-dark() and popovers as the browsers know them; older targets would have them rewritten, wrongly for
    // colours that are custom properties.
    target: ["chrome123", "firefox125", "safari17.5"],
    // index.html is served with a strict policy: nothing may be inlined into it.
    assetsInlineLimit: 0,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: { "/api": process.env.LUMELA_API ?? "http://127.0.0.1:8080" },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    css: false,
    restoreMocks: true,
  },
});
