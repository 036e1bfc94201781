import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { keys } from "../api/keys";
import { CacheWriter } from "../live/cache";
import { recent } from "../live/recent";
import { type LinkState, LiveStream } from "../live/stream";

/** Keeps the cache in step with the server for as long as the shell stands. Says how the link is. */
export function useLive(): LinkState {
  const queryClient = useQueryClient();
  const [state, setState] = useState<LinkState>("connecting");
  useEffect(() => {
    const writer = new CacheWriter(queryClient);
    const stream = new LiveStream({
      onEvents: (events) => {
        recent.add(events);
        writer.write(events);
      },
      onGap: () => void queryClient.invalidateQueries({ predicate: (q) => q.queryKey[0] !== keys.me[0] }),
      onState: (next) => {
        setState(next);
        // A stream that is refused may mean that the session has ended: asking who we are tells.
        if (next === "lost") void queryClient.invalidateQueries({ queryKey: keys.me });
      },
    });
    stream.start();
    return () => {
      stream.stop();
      writer.stop();
    };
  }, [queryClient]);
  return state;
}
