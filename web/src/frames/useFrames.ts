import { useCallback, useEffect, useRef, useState } from "react";
import { base, client, need } from "../api/client";
import type { Frame } from "../api/types";
import { mergeFrames } from "./log";

const pageSize = 200;

export type FrameLog = {
  frames: Frame[];
  /** How many frames came in since the list was paused. */
  held: number;
  paused: boolean;
  live: boolean;
  loading: boolean;
  error: unknown;
  hasOlder: boolean;
  setPaused: (paused: boolean) => void;
  loadOlder: () => void;
  retry: () => void;
};

/**
 * A station's frames: what is stored, and from then on live. The stream opens before the stored ones are asked for,
 * and both are merged by their number, so none is missed in between; after a reconnection the newest page is read
 * again for the same reason.
 */
export function useFrames(station: string, action: string | null): FrameLog {
  const [frames, setFrames] = useState<Frame[]>([]);
  const [waiting, setWaiting] = useState<Frame[]>([]);
  const [paused, setPausedState] = useState(false);
  const [live, setLive] = useState(false);
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState<unknown>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const isPaused = useRef(false);

  const read = useCallback(
    (from?: string) =>
      need(
        client.GET("/stations/{id}/frames", {
          params: {
            path: { id: station },
            query: { limit: pageSize, cursor: from, action: action ?? undefined },
          },
        }),
      ),
    [station, action],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt starts over on purpose
  useEffect(() => {
    let gone = false;
    const readNewest = async (first: boolean) => {
      try {
        const page = await read();
        if (gone) return;
        setFrames((old) => mergeFrames(old, page.items));
        if (first) setCursor(page.next);
        setError(null);
      } catch (cause) {
        if (!gone) setError(cause);
      }
      if (!gone) setLoading(false);
    };
    setFrames([]);
    setWaiting([]);
    setLoading(true);
    void readNewest(true);
    const close = openStream(station, {
      onFrames: (incoming) =>
        (isPaused.current ? setWaiting : setFrames)((old) => mergeFrames(old, incoming)),
      onState: setLive,
      onReopen: () => void readNewest(false),
    });
    return () => {
      gone = true;
      close();
    };
  }, [station, read, attempt]);

  const setPaused = (next: boolean) => {
    isPaused.current = next;
    setPausedState(next);
    if (next) return;
    setFrames((old) => mergeFrames(old, waiting));
    setWaiting([]);
  };

  const loadOlder = () => {
    if (!cursor) return;
    read(cursor).then(
      (page) => {
        setFrames((old) => mergeFrames(old, page.items));
        setCursor(page.next);
      },
      (cause: unknown) => setError(cause),
    );
  };

  return {
    frames,
    held: waiting.length,
    paused,
    live,
    loading,
    error,
    hasOlder: cursor !== null,
    setPaused,
    loadOlder,
    retry: () => setAttempt((n) => n + 1),
  };
}

type StreamHandlers = {
  onFrames: (frames: Frame[]) => void;
  onState: (live: boolean) => void;
  onReopen: () => void;
};

const retryMs = 3000;

/** The live frames of one station, handed on once per animation frame. Returns how to close it. */
function openStream(station: string, handlers: StreamHandlers): () => void {
  let batch: Frame[] = [];
  let frameRequest = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let source: EventSource;
  let opened = false;

  const flush = () => {
    frameRequest = 0;
    const frames = batch;
    batch = [];
    handlers.onFrames(frames);
  };
  const connect = () => {
    source = new EventSource(`${base}/stations/${encodeURIComponent(station)}/frames/live`);
    source.onopen = () => {
      handlers.onState(true);
      if (opened) handlers.onReopen();
      opened = true;
    };
    source.onerror = () => {
      handlers.onState(false);
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, retryMs);
    };
    source.addEventListener("frame", (message) => {
      batch.push(JSON.parse((message as MessageEvent<string>).data) as Frame);
      if (frameRequest === 0) frameRequest = requestAnimationFrame(flush);
    });
  };
  connect();
  return () => {
    clearTimeout(timer);
    cancelAnimationFrame(frameRequest);
    source.close();
  };
}
