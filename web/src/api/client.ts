import createClient from "openapi-fetch";
import { toProblem } from "./problem";
import type { paths } from "./schema";

export const base = "/api/v1";

/** Every request carries the console's header: the API takes changes by cookie only with it (against CSRF). */
export const client = createClient<paths>({
  baseUrl: `${window.location.origin}${base}`,
  headers: { "X-Lumela-Console": "1" },
  credentials: "same-origin",
  // Looked up at each call, so that tests can put their own in its place.
  fetch: (request) => globalThis.fetch(request),
});

const signedOutListeners = new Set<() => void>();

/** Calls back when the API says that the session has ended. Returns how to stop listening. */
export function onSignedOut(listener: () => void): () => void {
  signedOutListeners.add(listener);
  return () => signedOutListeners.delete(listener);
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Waits for an answer and returns its data, or throws a Problem. */
export async function need<T>(pending: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await pending;
  } catch (cause) {
    throw toProblem(cause);
  }
  if (answer.response.ok) return answer.data as T;
  if (answer.response.status === 401) for (const listener of signedOutListeners) listener();
  throw toProblem(answer.error, answer.response.status);
}
