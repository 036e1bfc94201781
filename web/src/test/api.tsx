import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render } from "@testing-library/react";
import { createMemoryRouter, RouterProvider } from "react-router";
import { vi } from "vitest";
import type { Session, Station } from "../api/types";
import { theme } from "../theme";

export const at = "2026-05-04T10:00:00Z";

export function station(id: string, over: Partial<Station> = {}): Station {
  return {
    id,
    vendor: "Acme",
    model: "One",
    serialNumber: `SN-${id}`,
    firmware: "1.0",
    protocol: "1.6",
    online: true,
    lastSeen: at,
    connectedSince: at,
    admission: "accepted",
    securityProfile: 1,
    strict: false,
    bootedAt: at,
    createdAt: at,
    modelReadAt: null,
    blocked: null,
    evses: [
      {
        id: 1,
        status: "Available",
        connectors: [{ id: 1, status: "Available", detail: "", error: null, type: "sType2", since: at }],
        session: null,
      },
    ],
    ...over,
  };
}

export function session(id: string, over: Partial<Session> = {}): Session {
  return {
    id,
    station: "CS-1",
    transactionId: "17",
    evse: 1,
    connector: 1,
    token: "AB12",
    tokenType: "ISO14443",
    state: "active",
    chargingState: "Charging",
    startedAt: at,
    endedAt: null,
    energyWh: 1500,
    powerW: 7400,
    soc: null,
    stoppedReason: "",
    meterStartWh: null,
    meterStopWh: null,
    remoteStartId: null,
    reservationId: null,
    billing: "running",
    clockOffsetSeconds: null,
    startedAtCorrected: null,
    endedAtCorrected: null,
    flags: [],
    ...over,
  };
}

export type Call = { method: string; path: string; query: URLSearchParams; body: unknown; headers: Headers };
type Answer = { status?: number; body?: unknown };
export type Routes = Record<string, unknown | ((call: Call) => Answer)>;

/**
 * Answers the API's paths from a table `"GET /stations": body` or a function. A path that is not in the table is
 * answered 404, as the server would. Returns the calls as they come in.
 */
export function stubApi(routes: Routes): Call[] {
  const calls: Call[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const url = new URL(request.url);
    const text = await request.text();
    const call: Call = {
      method: request.method,
      path: decodeURIComponent(url.pathname.replace("/api/v1", "")),
      query: url.searchParams,
      body: text ? JSON.parse(text) : undefined,
      headers: request.headers,
    };
    calls.push(call);
    const route = routes[`${call.method} ${call.path}`];
    const answer: Answer =
      route === undefined
        ? { status: 404, body: { title: "Not Found", status: 404 } }
        : typeof route === "function"
          ? (route as (call: Call) => Answer)(call)
          : { body: route };
    return new Response(JSON.stringify(answer.body ?? null), {
      status: answer.status ?? 200,
      headers: { "content-type": "application/json" },
    });
  });
  return calls;
}

/** Stands for the browser's EventSource: tests push events into those that were opened. */
export class FakeEventSource extends EventTarget {
  static readonly CLOSED = 2;
  static all: FakeEventSource[] = [];
  readonly url: string;
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(url: string) {
    super();
    this.url = url;
    FakeEventSource.all.push(this);
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  fail(closed: boolean): void {
    this.readyState = closed ? 2 : 0;
    this.onerror?.();
  }

  push(type: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
  }

  close(): void {
    this.readyState = 2;
  }

  static install(): void {
    FakeEventSource.all = [];
    vi.stubGlobal("EventSource", FakeEventSource);
  }

  /** The stream of a path, once something has opened it. */
  static at(path: string): FakeEventSource {
    const found = FakeEventSource.all.find((s) => s.url.endsWith(path) && s.readyState !== 2);
    if (!found) throw new Error(`nothing listens at ${path}`);
    return found;
  }
}

/** Pushes an event and lets the animation frame pass that hands it on. */
export async function pushEvent(
  type: string,
  stationId: string,
  data: unknown,
  time = "2026-05-04T10:01:00Z",
): Promise<void> {
  await act(async () => {
    FakeEventSource.at("/events").push(type, { id: "1", type, time, station: stationId, data });
    await new Promise((resolve) => requestAnimationFrame(resolve));
  });
}

/** Renders a page at a path as the application would. */
export function renderAt(
  path: string,
  routes: {
    path: string;
    element: React.ReactNode;
    children?: { path?: string; index?: true; element: React.ReactNode }[];
  }[],
) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const router = createMemoryRouter(routes as Parameters<typeof createMemoryRouter>[0], {
    initialEntries: [path],
  });
  render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={client}>
        <Notifications />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { client, router };
}
