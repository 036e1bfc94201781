import {
  keepPreviousData,
  type QueryClient,
  queryOptions,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import type { PowerPoint } from "../live/cache";
import { applyToFleet, applyToStation, type Fleet, toFleet } from "../live/events";
import { recent } from "../live/recent";
import { client, need } from "./client";
import { keys } from "./keys";
import type { components } from "./schema";
import { asStation, type Station, type Token } from "./types";

type Schemas = components["schemas"];

/** How many items one request of a long listing brings. */
const pageSize = 500;

export const meQuery = queryOptions({
  queryKey: keys.me,
  queryFn: () => need(client.GET("/auth/me")),
  retry: false,
  staleTime: Number.POSITIVE_INFINITY,
});

export function useOverview() {
  return useQuery({
    queryKey: keys.overview,
    queryFn: () => need(client.GET("/overview")),
    // Power moves without any event that would say so for the whole fleet.
    refetchInterval: 10_000,
  });
}

/** The whole fleet: page after page, the first ones shown while the rest is on its way. */
export function useFleet() {
  const queryClient = useQueryClient();
  return useQuery({ queryKey: keys.stations, queryFn: ({ signal }) => fetchFleet(queryClient, signal) });
}

async function fetchFleet(queryClient: QueryClient, signal: AbortSignal): Promise<Fleet> {
  const mark = recent.mark();
  const first = queryClient.getQueryData(keys.stations) === undefined;
  const all: Station[] = [];
  let cursor: string | undefined;
  do {
    const page = await need(
      client.GET("/stations", { params: { query: { limit: pageSize, cursor } }, signal }),
    );
    all.push(...page.items.map(asStation));
    cursor = page.next ?? undefined;
    if (first && cursor) queryClient.setQueryData(keys.stations, toFleet(all));
  } while (cursor);
  return applyToFleet(toFleet(all), recent.since(mark)).fleet;
}

export function useStation(id: string) {
  const queryClient = useQueryClient();
  return useQuery({
    queryKey: keys.station(id),
    queryFn: async () => {
      const mark = recent.mark();
      const station = asStation(await need(client.GET("/stations/{id}", { params: { path: { id } } })));
      return recent
        .since(mark)
        .filter((e) => e.station === id)
        .reduce(applyToStation, station);
    },
    placeholderData: () => queryClient.getQueryData<Fleet>(keys.stations)?.byId[id],
  });
}

export function useVariables(id: string) {
  return useQuery({
    queryKey: keys.variables(id),
    queryFn: async () =>
      (await need(client.GET("/stations/{id}/variables", { params: { path: { id } } }))).items,
  });
}

export function useStatusHistory(id: string) {
  return useInfiniteQuery({
    queryKey: keys.statusHistory(id),
    queryFn: ({ pageParam }) =>
      need(
        client.GET("/stations/{id}/status-history", {
          params: { path: { id }, query: { limit: 100, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

export function useLinks(id: string) {
  return useQuery({
    queryKey: keys.links(id),
    queryFn: () =>
      need(client.GET("/stations/{id}/link-history", { params: { path: { id }, query: { limit: 50 } } })),
  });
}

export function useNotices(id: string, action: string | null) {
  return useInfiniteQuery({
    queryKey: [...keys.notices(id), action],
    queryFn: ({ pageParam }) =>
      need(
        client.GET("/stations/{id}/notices", {
          params: { path: { id }, query: { action: action ?? undefined, limit: 50, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function useCommands(id: string) {
  return useInfiniteQuery({
    queryKey: keys.commands(id),
    queryFn: ({ pageParam }) =>
      need(
        client.GET("/stations/{id}/commands", {
          params: { path: { id }, query: { limit: 50, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

/** All tokens, page after page: the first ones are shown while the rest is on its way. */
export function useTokens() {
  const queryClient = useQueryClient();
  return useQuery({
    queryKey: keys.tokens,
    queryFn: ({ signal }) => fetchTokens(queryClient, signal),
    staleTime: 30_000,
  });
}

async function fetchTokens(queryClient: QueryClient, signal: AbortSignal): Promise<Token[]> {
  const first = queryClient.getQueryData(keys.tokens) === undefined;
  let all: Token[] = [];
  let cursor: string | undefined;
  do {
    const page = await need(
      client.GET("/tokens", { params: { query: { limit: pageSize, cursor } }, signal }),
    );
    all = [...all, ...page.items];
    cursor = page.next ?? undefined;
    if (first && cursor) queryClient.setQueryData(keys.tokens, all);
  } while (cursor);
  return all;
}

export type NewToken = Schemas["CreateTokenInputBody"];
export type TokenChange = Schemas["PatchTokenInputBody"];

export function useAddToken() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: NewToken) => need(client.POST("/tokens", { body })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: keys.tokens }),
  });
}

export function useChangeToken() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ id, change }: { id: string; change: TokenChange }) =>
      need(client.PATCH("/tokens/{id}", { params: { path: { id } }, body: change })),
    onSuccess: (changed) => {
      queryClient.setQueryData<Token[]>(keys.tokens, (old) =>
        old?.map((token) => (token.id === changed.id ? changed : token)),
      );
    },
  });
}

export function useRemoveToken() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => need(client.DELETE("/tokens/{id}", { params: { path: { id } } })),
    onSuccess: (_data, id) => {
      queryClient.setQueryData<Token[]>(keys.tokens, (old) => old?.filter((token) => token.id !== id));
    },
  });
}

export type SessionFilter = {
  station?: string;
  state?: "active" | "ended";
  billing?: "running" | "held" | "ready";
  flag?: string;
};

export function useSessions(filter: SessionFilter) {
  return useInfiniteQuery({
    queryKey: keys.sessionsOf(filter),
    queryFn: ({ pageParam }) =>
      need(client.GET("/sessions", { params: { query: { ...filter, limit: 100, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function useSession(id: string) {
  return useQuery({
    queryKey: keys.session(id),
    queryFn: () => need(client.GET("/sessions/{id}", { params: { path: { id } } })),
  });
}

export function useMeterValues(id: string) {
  return useQuery({
    queryKey: keys.meterValues(id),
    queryFn: async () =>
      (await need(client.GET("/sessions/{id}/meter-values", { params: { path: { id } } }))).items,
  });
}

/** What the live stream said about a session since its stored meter values were read. */
export function useLivePower(id: string) {
  return useQuery<PowerPoint[]>({
    queryKey: keys.livePower(id),
    queryFn: () => [],
    initialData: [],
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useSessionFrames(id: string) {
  return useInfiniteQuery({
    queryKey: keys.sessionFrames(id),
    queryFn: ({ pageParam }) =>
      need(
        client.GET("/sessions/{id}/frames", {
          params: { path: { id }, query: { limit: 200, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

export type Send = { station: string; action: string; payload: Record<string, unknown>; queue?: boolean };

/** Sends an OCPP 2.1 command and waits for the station's answer. */
export function useSend() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ station, action, payload, queue }: Send) =>
      need(
        client.POST("/stations/{id}/commands/{action}", {
          params: { path: { id: station, action }, query: { wait: "10s", queue: queue || undefined } },
          body: payload,
        }),
      ),
    onSettled: (_data, _error, { station }) =>
      queryClient.invalidateQueries({ queryKey: keys.commands(station) }),
  });
}

export function useStop() {
  return useMutation({
    mutationFn: (session: string) =>
      need(client.POST("/sessions/{id}/stop", { params: { path: { id: session } } })),
  });
}

export function useAdmission() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ station, accept }: { station: string; accept: boolean }) => {
      const params = { params: { path: { id: station } } };
      return need<unknown>(
        accept ? client.POST("/stations/{id}/accept", params) : client.POST("/stations/{id}/reject", params),
      );
    },
    onSuccess: (_data, { station }) => {
      void queryClient.invalidateQueries({ queryKey: keys.stations });
      void queryClient.invalidateQueries({ queryKey: keys.station(station) });
      void queryClient.invalidateQueries({ queryKey: keys.overview });
    },
  });
}

/** What belongs to a station's place in the fleet is asked for again. */
function refreshFleet(queryClient: QueryClient): void {
  void queryClient.invalidateQueries({ queryKey: keys.stations });
  void queryClient.invalidateQueries({ queryKey: keys.overview });
}

/** Registers a station. The answer carries a password when one was made; it is never told again. */
export function useRegister() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: Schemas["CreateStationInputBody"]) => need(client.POST("/stations", { body })),
    onSuccess: () => refreshFleet(queryClient),
    gcTime: 0,
  });
}

/** Makes a new password for a station. The answer is the only time that it is told. */
export function useNewPassword() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ station, push }: { station: string; push: boolean }) =>
      need(
        client.POST("/stations/{id}/password", {
          params: { path: { id: station } },
          body: push ? { push } : {},
        }),
      ),
    onSuccess: (_data, { station }) => queryClient.invalidateQueries({ queryKey: keys.station(station) }),
    gcTime: 0,
  });
}

export function useStrict() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ station, strict }: { station: string; strict: boolean }) =>
      need(client.PATCH("/stations/{id}", { params: { path: { id: station } }, body: { strict } })),
    onSuccess: (view) => queryClient.setQueryData(keys.station(view.id), asStation(view)),
  });
}

export function useRemoveStation() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (station: string) =>
      need(client.DELETE("/stations/{id}", { params: { path: { id: station } } })),
    onSuccess: () => refreshFleet(queryClient),
  });
}
