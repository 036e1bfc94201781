import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const startupMs = 30_000;

/** The built program: the node, and the virtual stations that come to it. */
export const binary = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "bin", "lumela");

/**
 * Starts the built node with a demonstration fleet, unless LUMELA_E2E_URL names one that runs already (then with
 * LUMELA_E2E_EMAIL and LUMELA_E2E_PASSWORD). Reads address and first password from what the node prints.
 */
export default async function start(): Promise<() => Promise<void>> {
  if (process.env.LUMELA_E2E_URL) return async () => {};
  const data = mkdtempSync(join(tmpdir(), "lumela-e2e-"));
  const args = [
    "serve",
    "--demo",
    "6",
    "--admission",
    "approve",
    "--http",
    "127.0.0.1:0",
    "--data-dir",
    data,
  ];
  const node = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  const stop = async () => {
    await stopped(node);
    rmSync(data, { recursive: true, force: true });
  };
  try {
    const said = await printed(node);
    process.env.LUMELA_E2E_URL = said.url;
    process.env.LUMELA_E2E_EMAIL = said.email;
    process.env.LUMELA_E2E_PASSWORD = said.password;
  } catch (cause) {
    await stop();
    throw cause;
  }
  return stop;
}

type Said = { url: string; email: string; password: string };

/** Waits for the lines `Console URL` and `Sign in EMAIL password PASSWORD`. */
function printed(node: ChildProcess): Promise<Said> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(
      () => reject(new Error(`the node did not say how to sign in:\n${text}`)),
      startupMs,
    );
    const read = (chunk: Buffer) => {
      text += chunk.toString();
      const url = /Console\s+(http:\/\/\S+?)\/?\s/.exec(text)?.[1];
      const account = /Sign in\s+(\S+@\S+)\s+password\s+(\S+)/.exec(text);
      if (!url || !account?.[1] || !account[2]) return;
      clearTimeout(timer);
      resolve({ url, email: account[1], password: account[2] });
    };
    node.stdout?.on("data", read);
    node.stderr?.on("data", read);
    node.once("error", (cause) => {
      clearTimeout(timer);
      reject(new Error(`cannot start the node (make build): ${cause.message}`));
    });
    node.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`the node ended with ${code}:\n${text}`));
    });
  });
}

function stopped(node: ChildProcess): Promise<void> {
  if (node.exitCode !== null || node.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const hard = setTimeout(() => node.kill("SIGKILL"), 12_000);
    node.once("exit", () => {
      clearTimeout(hard);
      resolve();
    });
    node.kill("SIGTERM");
  });
}
