import type { Page } from "@playwright/test";
import { address } from "./console";

export type Call = [action: string, payload: Record<string, unknown>];

/**
 * Plays an OCPP 1.6 station from a blank page of the browser: it connects, makes its calls one after the other, and
 * leaves. A payload's `transactionId` of "started" becomes what the last StartTransaction was answered. Returns the
 * answers.
 */
export async function playStation(page: Page, id: string, calls: Call[]): Promise<Record<string, unknown>[]> {
  const blank = await page.context().newPage();
  try {
    const url = `${address().replace(/^http/, "ws")}/ocpp/${id}`;
    return await blank.evaluate(play, { url, calls });
  } finally {
    await blank.close();
  }
}

/** Runs in the browser. */
async function play({ url, calls }: { url: string; calls: Call[] }): Promise<Record<string, unknown>[]> {
  const socket = new WebSocket(url, "ocpp1.6");
  const waiting = new Map<string, (answer: Record<string, unknown>) => void>();
  socket.onmessage = ({ data }) => {
    const [type, number, answer] = JSON.parse(data);
    // What the node asks meanwhile, this station does not know.
    if (type === 2) socket.send(JSON.stringify([4, number, "NotImplemented", "", {}]));
    else waiting.get(number)?.(type === 3 ? answer : { refused: answer });
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`no link to ${url}`));
  });
  const answers: Record<string, unknown>[] = [];
  let started: unknown;
  for (const [i, [action, payload]] of calls.entries()) {
    const body = payload.transactionId === "started" ? { ...payload, transactionId: started } : payload;
    const answered = new Promise<Record<string, unknown>>((resolve) => waiting.set(`m${i}`, resolve));
    socket.send(JSON.stringify([2, `m${i}`, action, body]));
    const answer = await answered;
    if (action === "StartTransaction") started = answer.transactionId;
    answers.push(answer);
  }
  socket.close();
  return answers;
}
