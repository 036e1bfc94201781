import {
  keepPreviousData,
  type QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { client, need } from "./client";
import { keys } from "./keys";
import { asStation, type Session } from "./types";

/** How many held sessions are counted before it is only said that there are more. */
export const countedHeld = 100;

/** How many sessions wait for an operator's word; `more` says that there are even more than were counted. */
export function useHeldCount() {
  return useQuery({
    queryKey: keys.heldSessions,
    queryFn: async () => {
      const query = { billing: "held" as const, limit: countedHeld };
      const page = await need(client.GET("/sessions", { params: { query } }));
      return { count: page.items.length, more: page.next !== null };
    },
    // The ledger and the guardian change flags of ended sessions on their own.
    refetchInterval: 60_000,
  });
}

/** What happened to a session, earliest first. */
export function useTimeline(id: string) {
  return useInfiniteQuery({
    queryKey: keys.timeline(id),
    queryFn: ({ pageParam }) =>
      need(
        client.GET("/sessions/{id}/timeline", {
          params: { path: { id }, query: { limit: 100, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

function sessionChanged(queryClient: QueryClient, changed: Session): void {
  queryClient.setQueryData(keys.session(changed.id), changed);
  void queryClient.invalidateQueries({ queryKey: keys.sessions });
  void queryClient.invalidateQueries({ queryKey: keys.timeline(changed.id) });
  void queryClient.invalidateQueries({ queryKey: keys.overview });
}

/** Releases flags by their codes: those that the operator saw, not those that came meanwhile. */
export function useRelease() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ session, reason, flags }: { session: string; reason: string; flags: string[] }) =>
      need(
        client.POST("/sessions/{id}/release", {
          params: { path: { id: session } },
          body: { reason, flags },
        }),
      ),
    onSuccess: (changed) => sessionChanged(queryClient, changed),
  });
}

export function useClose() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ session, reason, force }: { session: string; reason: string; force: boolean }) =>
      need(
        client.POST("/sessions/{id}/close", { params: { path: { id: session } }, body: { reason, force } }),
      ),
    onSuccess: (changed) => sessionChanged(queryClient, changed),
  });
}

export function useUnblock() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (station: string) =>
      need(client.POST("/stations/{id}/unblock", { params: { path: { id: station } } })),
    onSuccess: (view) => {
      queryClient.setQueryData(keys.station(view.id), asStation(view));
      void queryClient.invalidateQueries({ queryKey: keys.stations });
    },
  });
}

export function useCases(station: string) {
  return useInfiniteQuery({
    queryKey: keys.casesOf(station),
    queryFn: ({ pageParam }) =>
      need(client.GET("/guardian/cases", { params: { query: { station, limit: 50, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    // Events tell of stuck connectors only.
    refetchInterval: 30_000,
  });
}

export type HistoryAsk = {
  station?: string;
  from: string;
  to: string;
  resolution: "hour" | "day" | "month";
};

/** The buckets of a time, oldest first; empty ones are left out. */
export function useHistory(ask: HistoryAsk) {
  return useQuery({
    queryKey: keys.history(ask),
    queryFn: async () => (await need(client.GET("/history", { params: { query: ask } }))).items,
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
  });
}

export function useNodes() {
  return useQuery({
    queryKey: keys.nodes,
    queryFn: async () => (await need(client.GET("/nodes"))).items,
    refetchInterval: 5000,
  });
}

export function useJobs() {
  return useQuery({
    queryKey: keys.jobs,
    queryFn: async () => (await need(client.GET("/jobs"))).items,
    refetchInterval: 10_000,
  });
}

/** Only owners may ask. */
export function useRetention(enabled: boolean) {
  return useQuery({ queryKey: keys.retention, queryFn: () => need(client.GET("/retention")), enabled });
}

export function useQuarantine() {
  return useInfiniteQuery({
    queryKey: keys.quarantine,
    queryFn: ({ pageParam }) =>
      need(client.GET("/quarantine", { params: { query: { limit: 50, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 30_000,
  });
}
